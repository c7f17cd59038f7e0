package app.handlens;

import android.Manifest;
import android.app.Activity;
import android.content.Intent;
import android.content.pm.PackageManager;
import android.os.Bundle;
import android.webkit.PermissionRequest;
import android.webkit.WebSettings;
import android.webkit.WebView;
import android.widget.FrameLayout;

/** One web view that shows the page from the app's own files. */
public final class MainActivity extends Activity {
    private static final int CAMERA = 1;
    private static final int PHOTOS = 2;

    private WebView view;
    private PermissionRequest waiting;
    private final PhotoChooser chooser = new PhotoChooser(this, PHOTOS);

    @Override
    protected void onCreate(Bundle state) {
        super.onCreate(state);
        view = new WebView(this);
        WebSettings settings = view.getSettings();
        settings.setJavaScriptEnabled(true);
        settings.setDomStorageEnabled(true);
        settings.setAllowFileAccess(false);
        settings.setMediaPlaybackRequiresUserGesture(false);
        view.setWebViewClient(new Page(getAssets()));
        view.setWebChromeClient(new Chrome(this, chooser));
        FrameLayout root = new FrameLayout(this);
        root.setFitsSystemWindows(true); // keeps clear of the status and navigation bars
        root.addView(view);
        setContentView(root);
        view.loadUrl(Page.ORIGIN + "/index.html?app");
    }

    /** The page asks for the camera: Android's own permission comes first. */
    void askCamera(PermissionRequest request) {
        if (checkSelfPermission(Manifest.permission.CAMERA) == PackageManager.PERMISSION_GRANTED) {
            Chrome.grantCamera(request);
            return;
        }
        waiting = request;
        requestPermissions(new String[] {Manifest.permission.CAMERA}, CAMERA);
    }

    @Override
    public void onRequestPermissionsResult(int code, String[] permissions, int[] results) {
        if (code != CAMERA || waiting == null) {
            return;
        }
        if (results.length > 0 && results[0] == PackageManager.PERMISSION_GRANTED) {
            Chrome.grantCamera(waiting);
        } else {
            waiting.deny();
        }
        waiting = null;
    }

    @Override
    protected void onActivityResult(int code, int result, Intent data) {
        if (code == PHOTOS) {
            chooser.chosen(result == RESULT_OK ? data : null);
        }
    }

    @Override
    protected void onPause() {
        super.onPause();
        view.onPause(); // the page becomes hidden and gives the camera back
    }

    @Override
    protected void onResume() {
        super.onResume();
        view.onResume();
    }

    @Override
    protected void onDestroy() {
        view.destroy();
        super.onDestroy();
    }
}
