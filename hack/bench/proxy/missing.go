package main

import (
	"os/exec"
	"slices"
	"strings"
)

// luaPackages are what nginx needs to judge tokens in Lua, by Debian's names. prepare.sh installs them where it can.
var luaPackages = []string{"libnginx-mod-http-lua", "lua-luaossl", "lua-cjson"}

// needs are the Debian packages that a row needs.
func (r row) needs() []string {
	var out []string
	if r.proxy.program == "haproxy" {
		out = append(out, "haproxy")
	}
	if r.proxy.program == "nginx" || r.proxy.app() == "h2" { // that app is nginx
		out = append(out, "nginx")
	}
	if r.load.byH2load() {
		out = append(out, "nghttp2-client")
	}
	if r.proxy == nginxLua {
		out = append(out, luaPackages...)
	}
	return out
}

// available returns the rows that can be measured, and a note about those that cannot: empty if all can.
func available(chosen []row, installed func(name string) bool) (rows []row, note string) {
	var without, missing []string
	for _, r := range chosen {
		lacks := slices.DeleteFunc(r.needs(), installed)
		if len(lacks) == 0 {
			rows = append(rows, r)
			continue
		}
		without = append(without, r.id())
		for _, name := range lacks {
			if !slices.Contains(missing, name) {
				missing = append(missing, name)
			}
		}
	}
	if len(without) == 0 {
		return rows, ""
	}
	return rows, "Left out: " + strings.Join(without, ", ") + ". Needed: Debian's " + strings.Join(missing, ", ") + "."
}

// commands are those that packages are there for; another way to install them is as good.
var commands = map[string]string{"haproxy": "haproxy", "nginx": "nginx", "nghttp2-client": "h2load"}

// installed reports whether a package of Debian, or the command that it is there for, is installed.
func installed(name string) bool {
	if command, ok := commands[name]; ok {
		_, err := exec.LookPath(command)
		return err == nil
	}
	out, err := exec.Command("dpkg-query", "-W", "-f", "${db:Status-Abbrev}", name).Output() //nolint:noctx // at once
	return err == nil && strings.HasPrefix(string(out), "ii")
}
