package fold

import "testing"

func TestSame(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"X-User", "x_user", true}, {"X-User", "X.USER", true}, {"X-User", "XUser", false}, {"X-User", "X-Users", false}, {"", "", true},
		{"Content-Length", "content_length", true}, {"a1", "A1", true}, {"a1", "a-", false}, {"[", "{", true}, {"x\xe9", "x-", true},
	} {
		if got := Same(tt.a, tt.b); got != tt.want {
			t.Errorf("Same(%q, %q) = %v", tt.a, tt.b, got)
		}
		if got := Same([]byte(tt.b), tt.a); got != tt.want {
			t.Errorf("Same([]byte(%q), %q) = %v", tt.b, tt.a, got)
		}
	}
}
