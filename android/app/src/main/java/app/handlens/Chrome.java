package app.handlens;

import android.net.Uri;
import android.webkit.PermissionRequest;
import android.webkit.ValueCallback;
import android.webkit.WebChromeClient;
import android.webkit.WebView;
import java.util.Arrays;

/** What the page may ask of the phone: the camera, and photos that the user chooses. */
final class Chrome extends WebChromeClient {
    private final MainActivity activity;
    private final PhotoChooser chooser;

    Chrome(MainActivity activity, PhotoChooser chooser) {
        this.activity = activity;
        this.chooser = chooser;
    }

    @Override
    public void onPermissionRequest(PermissionRequest request) {
        boolean camera = Arrays.asList(request.getResources()).contains(PermissionRequest.RESOURCE_VIDEO_CAPTURE);
        if (camera && request.getOrigin().toString().startsWith(Page.ORIGIN)) {
            activity.askCamera(request);
        } else {
            request.deny();
        }
    }

    /** Grants the camera, whatever else was asked for. */
    static void grantCamera(PermissionRequest request) {
        request.grant(new String[] {PermissionRequest.RESOURCE_VIDEO_CAPTURE});
    }

    @Override
    public boolean onShowFileChooser(WebView view, ValueCallback<Uri[]> done, FileChooserParams params) {
        return chooser.show(done);
    }
}
