package app.handlens;

import android.app.Activity;
import android.content.ActivityNotFoundException;
import android.content.ClipData;
import android.content.Intent;
import android.net.Uri;
import android.webkit.ValueCallback;

/** Lets the user choose photos; the system's own chooser needs no permission. */
final class PhotoChooser {
    private final Activity activity;
    private final int code;
    private ValueCallback<Uri[]> done;

    PhotoChooser(Activity activity, int code) {
        this.activity = activity;
        this.code = code;
    }

    boolean show(ValueCallback<Uri[]> callback) {
        Intent intent = new Intent(Intent.ACTION_GET_CONTENT);
        intent.addCategory(Intent.CATEGORY_OPENABLE);
        intent.setType("image/*");
        intent.putExtra(Intent.EXTRA_ALLOW_MULTIPLE, true);
        try {
            activity.startActivityForResult(intent, code);
        } catch (ActivityNotFoundException none) {
            return false;
        }
        done = callback;
        return true;
    }

    /** Hands the result to the page; null: nothing was chosen. */
    void chosen(Intent data) {
        if (done != null) {
            done.onReceiveValue(data == null ? null : addresses(data));
            done = null;
        }
    }

    private static Uri[] addresses(Intent data) {
        ClipData several = data.getClipData();
        if (several == null) {
            return data.getData() == null ? null : new Uri[] {data.getData()};
        }
        Uri[] found = new Uri[several.getItemCount()];
        for (int i = 0; i < found.length; i++) {
            found[i] = several.getItemAt(i).getUri();
        }
        return found;
    }
}
