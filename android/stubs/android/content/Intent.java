package android.content;

import android.net.Uri;

public class Intent {
    public static final String ACTION_GET_CONTENT = "android.intent.action.GET_CONTENT";
    public static final String CATEGORY_OPENABLE = "android.intent.category.OPENABLE";
    public static final String EXTRA_ALLOW_MULTIPLE = "android.intent.extra.ALLOW_MULTIPLE";

    public Intent(String action) {}

    public Intent addCategory(String category) {
        return this;
    }

    public Intent setType(String type) {
        return this;
    }

    public Intent putExtra(String name, boolean value) {
        return this;
    }

    public ClipData getClipData() {
        return null;
    }

    public Uri getData() {
        return null;
    }
}
