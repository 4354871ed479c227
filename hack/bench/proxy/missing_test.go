package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRowsThatLackPackagesAreLeftOut(t *testing.T) {
	t.Parallel()
	id := func(name string, k kind, l load) row { return row{group: "g", name: name, proxy: k, load: l} }
	every := []row{
		id("lua", nginxLua, load{}), id("plain", nginx, load{}), id("h1", haproxy, load{}), id("h2", kind{program: "bearerguard", h2: true}, load{h2: true}),
		id("h2c", kind{program: "bearerguard", h2: true, h2Upstream: true}, load{h2: true, calls: "unary"}), id("grpc", inGRPC(bearerguard), load{h2: true, calls: "unary"}),
	}
	tests := map[string]struct {
		chosen  []row
		missing string
		want    string // the names of what is left
		note    string
	}{
		"with all packages all rows are measured":         {every, "", "lua plain h1 h2 h2c grpc", ""},
		"a package that is missing is named":              {every, "lua-cjson", "plain h1 h2 h2c grpc", "Left out: g/lua. Needed: Debian's lua-cjson."},
		"a package that no chosen row needs is no matter": {every[1:], "lua-cjson", "plain h1 h2 h2c grpc", ""},
		"HAProxy":                    {every, "haproxy", "lua plain h2 h2c grpc", "Left out: g/h1. Needed: Debian's haproxy."},
		"nginx is an app too":        {every, "nginx", "h1 h2 grpc", "Left out: g/lua, g/plain, g/h2c. Needed: Debian's nginx."},
		"not every load is h2load's": {every, "nghttp2-client", "lua plain h1 h2c grpc", "Left out: g/h2. Needed: Debian's nghttp2-client."},
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
