package android.webkit;

import java.io.InputStream;
import java.util.Map;

public class WebResourceResponse {
    public WebResourceResponse(
            String type,
            String encoding,
            int status,
            String reason,
            Map<String, String> headers,
            InputStream content) {}
}
