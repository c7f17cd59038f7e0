package android.app;

import android.content.Context;
import android.content.Intent;
import android.os.Bundle;
import android.view.View;

public class Activity extends Context {
    public static final int RESULT_OK = -1;

    protected void onCreate(Bundle state) {}

    protected void onPause() {}

    protected void onResume() {}

    protected void onDestroy() {}

    protected void onActivityResult(int code, int result, Intent data) {}

    public void onRequestPermissionsResult(int code, String[] permissions, int[] results) {}

    public final void requestPermissions(String[] permissions, int code) {}

    public void setContentView(View view) {}

    public void startActivityForResult(Intent intent, int code) {}
}
