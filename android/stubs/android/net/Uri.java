package android.net;

public abstract class Uri {
    public abstract String getPath();

    public abstract String toString();
}
