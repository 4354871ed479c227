package cell_test

import (
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/controllers/cell"
)

const (
	ofDefault = "!bearerguard.dev/revision"
	ofBlue    = "bearerguard.dev/revision=blue"
)

func TestANamespaceIsOfOneCellAtMost(t *testing.T) {
	t.Parallel()
	cells := map[string]cell.Cell{"": of(t, "", ofDefault), "blue": of(t, "blue", ofBlue), "green": of(t, "green", "bearerguard.dev/revision=green")}
	for what, tc := range map[string]struct {
		labels map[string]string
		want   string // the revision; "nobody"
	}{
		"no labels at all":                 {nil, ""},
		"other labels":                     {map[string]string{"a": "b"}, ""},
		"a revision":                       {map[string]string{"bearerguard.dev/revision": "blue", "a": "b"}, "blue"},
		"another revision":                 {map[string]string{"bearerguard.dev/revision": "green"}, "green"},
		"a revision that nobody has":       {map[string]string{"bearerguard.dev/revision": "red"}, "nobody"},
		"an empty label is no missing one": {map[string]string{"bearerguard.dev/revision": ""}, "nobody"},
	} {
		got := "nobody"
		for revision, c := range cells {
			if !c.Owns(tc.labels) {
				continue
			}
			if got != "nobody" {
				t.Errorf("%s: both %q and %q serve it", what, got, revision)
			}
			got = revision
		}
		if got != tc.want {
			t.Errorf("%s: served by %q, want %q", what, got, tc.want)
		}
	}
}

func TestTheZeroCellIsTheWholeCluster(t *testing.T) {
	t.Parallel()
	var c cell.Cell
	if !c.All() || !c.Owns(nil) || !c.Owns(map[string]string{"bearerguard.dev/revision": "blue"}) || c.Name("x") != "x" || !of(t, "", "").All() {
		t.Error("a release that says nothing of cells does not serve all of the cluster under plain names")
	}
}

func TestWrongCellsAreRefused(t *testing.T) {
	t.Parallel()
	for what, tc := range map[string]struct{ revision, selector, want string }{
		"capital letters":       {"Blue", "", `revision "Blue" is no name`},
		"a dash at the end":     {"blue-", "", "is no name"},
		"the mark's separator":  {"a@b", "", "is no name"},
		"a name that is long":   {strings.Repeat("a", 33), "", "at most 32"},
		"a selector of nothing": {"", "=", `"=" is no label selector`},
		"an open list":          {"", "a in (b", "want such as bearerguard.dev/revision=blue"},
	} {
		if _, err := cell.New(tc.revision, tc.selector); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %s", what, err, tc.want)
		}
	}
}

func TestPodsAreKnownByTheirMark(t *testing.T) {
	t.Parallel()
	byDefault, blue := of(t, "", ofDefault), of(t, "blue", ofBlue)
	for mark, want := range map[string][2]bool{
		byDefault.Mark("v0.1.0"):   {true, false},
		blue.Mark("v0.1.0"):        {false, true},
		blue.Mark("dev@local"):     {false, true},
		"v0.1.0@green":             {false, false},
		"v0.1.0-3-g1234567-dirty":  {true, false},
		"":                         {true, false},
		"v0.1.0@":                  {true, false},
		"v0.1.0@blue@green@purple": {false, false},
	} {
		if got := [2]bool{byDefault.Injected(mark), blue.Injected(mark)}; got != want {
			t.Errorf("%q: of the default release and of blue %v, want %v", mark, got, want)
		}
	}
}

func TestRefusalsSayWhoseTheNamespaceIs(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		of(t, "blue", ofBlue).Refusal("shop", nil).Error():                                                 "this release (revision blue) does not serve namespace shop; its label bearerguard.dev/revision is missing",
		of(t, "", ofDefault).Refusal("shop", map[string]string{"bearerguard.dev/revision": "red"}).Error(): `this release (the default one) does not serve namespace shop; its label bearerguard.dev/revision says "red"`,
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func of(t *testing.T, revision, selector string) cell.Cell {
	t.Helper()
	c, err := cell.New(revision, selector)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
