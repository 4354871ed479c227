package source_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/sidecar/source"
)

// What each release saved on disk lies in testdata/saved/VERSION: a sidecar that was upgraded or downgraded in place reads what the one before it
// left, so it is read for ever.
var newSaved = flag.String("new-saved", "", "write what a release saves that has no folder yet, such as 0.2.0")

const saved = "testdata/saved"

var savedFiles = []string{"last-good-bundle", "last-good-revocations"}

// fill saves what the folders of releases have.
func fill(t *testing.T, l source.LastGood) {
	t.Helper()
	wire, err := os.ReadFile("../../api/bundle/testdata/wire/0.1.0/bundle.pb")
	if err != nil {
		t.Fatal(err)
	}
	r := policy.Revocation{Issuer: "https://login.example.com", Entries: []policy.RevocationEntry{
		{JTI: "7", ExpiresAt: &policy.Time{Time: time.Unix(1_900_000_000, 0)}},
		{Subject: "bob", IssuedBefore: &policy.Time{Time: time.Unix(1_800_000_000, 0)}, ExpiresAt: &policy.Time{Time: time.Unix(1_900_000_000, 0)}},
		{Session: "s1"},
	}}
	if err := errors.Join(l.Save(wire, bundle.Version(wire)), l.SaveRevocations(revoked.SetOf(r))); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsSavedIsUnchanged(t *testing.T) {
	t.Parallel()
	l := source.LastGood{Dir: t.TempDir()}
	fill(t, l)
	if *newSaved != "" {
		if err := os.CopyFS(filepath.Join(saved, *newSaved), os.DirFS(l.Dir)); err != nil {
			t.Fatal(err)
		}
	}
	newest := filepath.Join(saved, newestSaved(t))
	for _, name := range savedFiles {
		got, err := os.ReadFile(filepath.Join(l.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join(newest, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what %s has: a sidecar of that release, put back, would have to read it", name, newest)
		}
	}
}

func newestSaved(t *testing.T) string {
	t.Helper()
	all := savedReleases(t)
	return all[len(all)-1]
}

func savedReleases(t *testing.T) (out []string) {
	t.Helper()
	entries, err := os.ReadDir(saved)
	if err != nil || len(entries) == 0 {
		t.Fatal(entries, err)
	}
	for _, e := range entries {
		out = append(out, e.Name())
	}
	slices.SortFunc(out, func(a, b string) int { return slices.Compare(numbers(t, a), numbers(t, b)) })
	return out
}

// numbers are those of a version.
func numbers(t *testing.T, version string) (out []int) {
	t.Helper()
	for part := range strings.SplitSeq(version, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			t.Fatal(version, err)
		}
		out = append(out, n)
	}
	return out
}

// restored is a folder with what a release saved, with the mode that it had.
func restored(t *testing.T, release string) source.LastGood {
	t.Helper()
	l := source.LastGood{Dir: t.TempDir()}
	for _, name := range savedFiles {
		data, err := os.ReadFile(filepath.Join(saved, release, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(l.Dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

func TestWhatEveryReleaseSavedIsRead(t *testing.T) {
	t.Parallel()
	for _, release := range savedReleases(t) {
		l := restored(t, release)
		b, version, err := l.Load()
		if err != nil || len(version) != 64 || len(b.Policies) != 1 || len(b.Policies[0].Spec.Rules) != 3 || len(b.KeySets) != 3 {
			t.Fatalf("%s: %+v, %v", release, b, err)
		}
		set, err := l.LoadRevocations()
		if err != nil || set.Len() != 3 {
			t.Fatalf("%s: %v, %v", release, set, err)
		}
	}
}

// A sidecar that was put back to an older release finds what a newer one saved. It goes by none of it, says so, and asks for its rules.
func TestWhatANewerReleaseSavedIsNotUsed(t *testing.T) {
	t.Parallel()
	l := restored(t, newestSaved(t))
	data, err := os.ReadFile(filepath.Join(l.Dir, "last-good-bundle"))
	if err != nil {
		t.Fatal(err)
	}
	newer := protowire.AppendVarint(protowire.AppendTag(data[65:], 99, protowire.VarintType), 1)
	if err := l.Save(newer, bundle.Version(newer)); err != nil {
		t.Fatal(err)
	}
	if b, _, err := l.Load(); b != nil || !errors.Is(err, bundle.ErrNewer) {
		t.Fatalf("%+v, %v; want it refused", b, err)
	}
	cert, ca := certificate(t, "push.test")
	c, at, _ := serve(t, "127.0.0.1:0", cert)
	f, s := files{t.TempDir()}, newSink()
	f.ca(t, ca)
	f.token(t, "token")
	follow(t, at, f, s, l)
	stream := c.accept(t)
	if got := stream.hears(t).GetHello().GetVersion(); got != "" || len(s.applied) != 0 {
		t.Errorf("hello with version %q, and %d bundles in force; want none of either", got, len(s.applied))
	}
	s.logged(t, "the last good copy is of no use")
	// A newer controller's bundle is refused too, with what to do about it.
	stream.says(t, newer, bundle.Version(newer))
	if reason := stream.hears(t).GetNack().GetReason(); !strings.Contains(reason, "of a release that knows more") || !strings.Contains(reason, "the sidecar is release v1; restart its pod") {
		t.Errorf("refused with %q", reason)
	}
}
