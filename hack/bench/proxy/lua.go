package main

import (
	"os/exec"
	"slices"
	"strings"
)

// luaPackages are what nginx needs to judge tokens in Lua, by Debian's names. prepare.sh installs them where it can.
var luaPackages = []string{"libnginx-mod-http-lua", "lua-luaossl", "lua-cjson"}

// available returns the rows that can be measured, and a note about those that cannot: empty if all can.
func available(chosen []row, installed func(name string) bool) (rows []row, note string) {
	needLua := func(r row) bool { return r.proxy == nginxLua }
	missing := slices.DeleteFunc(slices.Clone(luaPackages), installed)
	if len(missing) == 0 || !slices.ContainsFunc(chosen, needLua) {
		return chosen, ""
	}
	return slices.DeleteFunc(slices.Clone(chosen), needLua), "nginx with Lua is left out: it needs Debian's " + strings.Join(missing, ", ") + "."
}

// installed reports whether a package of Debian is installed.
func installed(name string) bool {
	out, err := exec.Command("dpkg-query", "-W", "-f", "${db:Status-Abbrev}", name).Output() //nolint:noctx // at once
	return err == nil && strings.HasPrefix(string(out), "ii")
}
