package app.handlens;

import android.content.res.AssetManager;
import android.net.Uri;
import android.webkit.WebResourceRequest;
import android.webkit.WebResourceResponse;
import android.webkit.WebView;
import android.webkit.WebViewClient;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.HashMap;
import java.util.Map;

/** Answers every request from the app's files, under an https origin of its own, and none from elsewhere. */
final class Page extends WebViewClient {
    /** The top-level domain "invalid" exists nowhere (RFC 2606). */
    static final String ORIGIN = "https://handlens.invalid";

    private static final String[][] TYPES = {
        {".html", "text/html"},
        {".js", "text/javascript"},
        {".mjs", "text/javascript"},
        {".css", "text/css"},
        {".json", "application/json"},
        {".webmanifest", "application/manifest+json"},
        {".wasm", "application/wasm"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".woff", "font/woff"},
    };

    private final AssetManager assets;

    Page(AssetManager assets) {
        this.assets = assets;
    }

    @Override
    public WebResourceResponse shouldInterceptRequest(WebView view, WebResourceRequest request) {
        Uri url = request.getUrl();
        String path = url.getPath();
        if (!url.toString().startsWith(ORIGIN + "/") || path == null) {
            return answer("text/plain", 403, "Forbidden", null);
        }
        try {
            return answer(typeOf(path), 200, "OK", assets.open(path.substring(1)));
        } catch (IOException missing) {
            return answer("text/plain", 404, "Not Found", null);
        }
    }

    /** No page but ours is ever opened. */
    @Override
    public boolean shouldOverrideUrlLoading(WebView view, WebResourceRequest request) {
        return !request.getUrl().toString().startsWith(ORIGIN + "/");
    }

    private static WebResourceResponse answer(String type, int status, String reason, InputStream body) {
        Map<String, String> headers = new HashMap<>();
        headers.put("Cache-Control", "no-store");
        InputStream content = body != null ? body : new ByteArrayInputStream(new byte[0]);
        return new WebResourceResponse(type, "utf-8", status, reason, headers, content);
    }

    private static String typeOf(String path) {
        for (String[] type : TYPES) {
            if (path.endsWith(type[0])) {
                return type[1];
            }
        }
        return "application/octet-stream";
    }
}
