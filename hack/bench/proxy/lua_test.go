package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRowsThatLackPackagesAreLeftOut(t *testing.T) {
	t.Parallel()
	plain, lua := row{name: "nginx", proxy: nginx}, row{name: "nginx-lua", proxy: nginxLua}
	tests := map[string]struct {
		chosen  []row
		missing string
		want    string // the names of what is left
		note    string
	}{
		"with all packages all rows are measured":         {[]row{plain, lua}, "", "nginx nginx-lua", ""},
		"a package that is missing is named":              {[]row{plain, lua}, "lua-cjson", "nginx", "nginx with Lua is left out: it needs Debian's lua-cjson."},
		"a package that no chosen row needs is no matter": {[]row{plain}, "lua-cjson", "nginx", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows, note := available(tt.chosen, func(name string) bool { return name != tt.missing })
			var names []string
			for _, r := range rows {
				names = append(names, r.name)
			}
			if diff := cmp.Diff([]string{tt.want, tt.note}, []string{strings.Join(names, " "), note}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
