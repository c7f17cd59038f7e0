package android.webkit;

import android.net.Uri;

public class WebChromeClient {
    public void onPermissionRequest(PermissionRequest request) {}

    public boolean onShowFileChooser(WebView view, ValueCallback<Uri[]> done, FileChooserParams params) {
        return false;
    }

    public abstract static class FileChooserParams {}
}
