package source_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
	"github.com/bearerguard/bearerguard/sidecar/source"

	"github.com/bearerguard/bearerguard/api/policy"
)

// encoded is a bundle with one policy of this name.
func encoded(t *testing.T, name string) (data []byte, version string) {
	t.Helper()
	issuer := gatetest.NewIssuer("https://corp.example", "one")
	b := gatetest.Bundle(t, gatetest.Policy(name, policy.Spec{
		Issuers: []policy.Issuer{issuer.Policy("corp")},
		Rules:   []policy.Rule{{Name: "all", Allow: &policy.Allow{Authenticated: true}}},
	}))
	data, err := bundle.Encode(b)
	if err != nil {
		t.Fatal(err)
	}
	return data, bundle.Version(data)
}

func TestLastGoodReturnsWhatWasSavedLast(t *testing.T) {
	t.Parallel()
	l := source.LastGood{Dir: t.TempDir()}
	if b, _, err := l.Load(); b != nil || err != nil {
		t.Errorf("Load of nothing = %v, %v", b, err)
	}
	for _, name := range []string{"first", "second"} {
		data, version := encoded(t, name)
		write(t, l.Dir, "last-good-bundle.new", "left behind by a sidecar that was killed")
		if err := l.Save(data, version); err != nil {
			t.Fatal(err)
		}
		b, got, err := l.Load()
		if err != nil || got != version {
			t.Fatalf("Load: version %s, error %v; want %s", got, err, version)
		}
		if again, _ := bundle.Encode(b); string(again) != string(data) {
			t.Error("Load returns another bundle than was saved")
		}
	}
	files, err := os.ReadDir(l.Dir)
	if err != nil || len(files) != 1 {
		t.Fatalf("files %v, error %v; want one file", files, err)
	}
	info, err := files[0].Info()
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("mode %o, want 600", got)
	}
}

func TestLastGoodKeepsNothingWithoutAFolder(t *testing.T) {
	t.Parallel()
	data, version := encoded(t, "a")
	if err := (source.LastGood{}).Save(data, version); err != nil {
		t.Error(err)
	}
	if b, v, err := (source.LastGood{}).Load(); b != nil || v != "" || err != nil {
		t.Errorf("Load = %v, %q, %v", b, v, err)
	}
}

func TestLastGoodRefusesWhatItDidNotWrite(t *testing.T) {
	t.Parallel()
	data, version := encoded(t, "a")
	good := version + "\n" + string(data)
	tests := map[string]struct {
		spoil func(t *testing.T, path string)
		want  string
	}{
		"an empty file":   {func(t *testing.T, p string) { write(t, "", p, "") }, "damaged"},
		"a version alone": {func(t *testing.T, p string) { write(t, "", p, version+"\n") }, "damaged"},
		"half a file":     {func(t *testing.T, p string) { write(t, "", p, good[:len(good)/2]) }, "damaged"},
		"a changed byte":  {func(t *testing.T, p string) { write(t, "", p, good[:len(good)-1]+"!") }, "damaged"},
		"a later release's": {func(t *testing.T, p string) {
			later := string(data) + "\x08\xff\xff\x03" // more feature bits
			write(t, "", p, bundle.Version([]byte(later))+"\n"+later)
		}, "does not know"},
		"a file that others may read": {func(t *testing.T, p string) {
			if err := os.Chmod(p, 0o644); err != nil {
				t.Fatal(err)
			}
		}, "want a plain file of mode 0600"},
		"a link": {func(t *testing.T, p string) {
			if err := os.Rename(p, p+".elsewhere"); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(p+".elsewhere", p); err != nil {
				t.Fatal(err)
			}
		}, "want a plain file of mode 0600"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := source.LastGood{Dir: t.TempDir()}
			if err := l.Save(data, version); err != nil {
				t.Fatal(err)
			}
			test.spoil(t, filepath.Join(l.Dir, "last-good-bundle"))
			b, v, err := l.Load()
			if diff := cmp.Diff("", v); b != nil || diff != "" || err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Load = %v, %q, %v; want an error with %q", b, v, err, test.want)
			}
		})
	}
}
