package android.webkit;

import android.content.Context;
import android.view.ViewGroup;

public class WebView extends ViewGroup {
    public WebView(Context context) {}

    public WebSettings getSettings() {
        return null;
    }

    public void setWebViewClient(WebViewClient client) {}

    public void setWebChromeClient(WebChromeClient client) {}

    public void loadUrl(String url) {}

    public void onPause() {}

    public void onResume() {}

    public void destroy() {}
}
