package convert

import (
	"cmp"
	"maps"
	"net"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/bearerguard/bearerguard/api/policy"
)

// proxies are the containers, command lines and configuration files of a proxy that stands before an app.
type proxies struct {
	objects *objects
	source  Source
	program string // its name: that of its image and command
	flags   map[string]flagInfo
	convert func(p *proxy) (policy.Spec, error)
	all     []*proxy
	notes   *[]Note
}

// proxy is one of them.
type proxy struct {
	group
	settings
	objects *objects
	config  *node     // what --config-file has
	up      *upstream // where the app is
	ports   []int32   // with other proxies in the pod: what rules are limited to
}

// upstream is the app behind a proxy.
type upstream struct {
	port     int32
	path     string // without the slash at the end
	loopback bool
}

var workloads = []string{"Deployment", "DaemonSet", "StatefulSet", "ReplicaSet", "Job", "CronJob", "Pod"}

// takes finds the containers of a workload that are the proxy.
func (p *proxies) takes(x *object) (bool, error) {
	if !slices.Contains(workloads, x.kind) {
		return false, nil
	}
	x.node.object = x.kind + " " + x.namespace + "/" + x.name
	pod, labels := podOf(x)
	if pod == nil {
		return false, nil
	}
	found := false
	for _, list := range []string{"initContainers", "containers"} {
		for _, c := range pod.field(list).items() {
			if c.object = x.node.object; !p.is(c) {
				continue
			}
			found = true
			one := p.one(c)
			one.place = place{name: cmp.Or(x.name, p.program), namespace: x.namespace, labels: labels}
			if err := p.container(one, x, pod, c); err != nil {
				return false, err
			}
		}
	}
	return found, nil
}

// podOf finds a workload's pod, and the labels by which its pods are selected.
func podOf(x *object) (pod *node, labels map[string]string) {
	spec := x.node.field("spec")
	if x.kind == "CronJob" {
		spec = spec.field("jobTemplate").field("spec")
	}
	template := spec.field("template")
	if x.kind == "Pod" {
		template = x.node
	}
	labels = template.field("metadata").field("labels").pairs()
	if selector := spec.field("selector"); x.kind != "Pod" && selector.field("matchExpressions") == nil {
		if by := selector.field("matchLabels").pairs(); len(by) > 0 {
			labels = by
		}
	}
	return template.field("spec"), labels
}

// is reports whether a container runs the proxy.
func (p *proxies) is(c *node) bool {
	command := c.field("command").items()
	return p.named(c.field("image").text()) || len(command) > 0 && p.named(command[0].text())
}

// named reports whether a path or an image is the program's.
func (p *proxies) named(text string) bool {
	text, _, _ = strings.Cut(text, "@")
	text, _, _ = strings.Cut(path.Base(text), ":")
	return text == p.program
}

func (p *proxies) one(n *node) *proxy {
	one := &proxy{objects: p.objects, settings: settings{program: p.source, flags: p.flags, all: map[string]*setting{}, node: n}}
	one.group.node, one.names = n, names{}
	p.all = append(p.all, one)
	return one
}

// container reads the flags of a container: those of its configuration file, its environment and its arguments, of which the later ones count.
func (p *proxies) container(one *proxy, x *object, pod, c *node) error {
	words, values := p.words(c), map[string]string{}
	for _, e := range c.field("env").items() {
		if e.field("valueFrom") == nil {
			values[e.field("name").text()] = e.field("value").text()
		}
	}
	for i := range words {
		words[i].text = expand(words[i].text, values)
	}
	scratch := p.scratch(one)
	if err := scratch.command(words); err != nil {
		return err
	}
	if err := p.files(one, scratch, x, pod, c); err != nil {
		return err
	}
	if p.source == OAuth2Proxy {
		if err := one.environment(c); err != nil {
			return err
		}
	}
	return one.command(words)
}

func (p *proxies) scratch(one *proxy) *settings {
	return &settings{program: p.source, flags: p.flags, all: map[string]*setting{}, node: one.settings.node}
}

// words are a container's command and arguments, without the program.
func (p *proxies) words(c *node) (out []arg) {
	for i, list := range []string{"command", "args"} {
		for j, a := range c.field(list).items() {
			if i+j > 0 || list == "args" {
				out = append(out, arg{a.text(), a})
			}
		}
	}
	return out
}

// expand puts values of the environment into an argument, as the kubelet does.
func expand(text string, values map[string]string) string {
	for name, value := range values {
		text = strings.ReplaceAll(text, "$("+name+")", value)
	}
	return text
}

// environment reads OAUTH2_PROXY_CLIENT_ID and the like.
func (one *proxy) environment(c *node) error {
	if from := c.field("envFrom"); from != nil {
		return from.refuse("may have settings that limit who is let in, and they are not in the files: write those into env or args")
	}
	for _, e := range c.field("env").items() {
		name, ours := strings.CutPrefix(e.field("name").text(), "OAUTH2_PROXY_")
		if !ours {
			continue
		}
		n := *e
		n.path = e.field("name").text()
		name = one.flagOf(strings.ToLower(name))
		if name == "config" || name == "alpha-config" {
			return n.refuse("names a file that is not read by that; say it in args")
		}
		if e.field("valueFrom") != nil {
			one.hide(name, &n)
			continue
		}
		if err := one.put(name, e.field("value").text(), &n, false); err != nil {
			return err
		}
	}
	return nil
}

// flagOf is the flag of a key of the configuration file, whose lists are in the plural.
func (s *settings) flagOf(key string) string {
	name := strings.ReplaceAll(key, "_", "-")
	if _, known := s.flags[name]; known {
		return name
	}
	if one := strings.TrimSuffix(name, "s"); one != name {
		if _, known := s.flags[one]; known {
			return one
		}
	}
	return name
}

// text takes in a file that is no manifest: a command line, or a configuration file.
func (p *proxies) text(f File, namespace string) (*proxy, error) {
	n := lineNode(f, 1, p.notes)
	n.object = p.program
	one := p.one(n)
	base, _, _ := strings.Cut(path.Base(f.Name), ".")
	one.place = place{name: base, namespace: namespace}
	if isConfig(f.Data) {
		return one, p.file(one, f, nil)
	}
	words, err := shellWords(f, p.notes)
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(words, func(a arg) bool { return p.named(a.text) }); i >= 0 {
		words = words[i+1:]
	}
	for _, w := range words {
		w.node.object = p.program
	}
	return one, one.command(words)
}

// policies converts each proxy.
func (p *proxies) policies() (out []Policy, err error) {
	taken := map[string]names{}
	for i, one := range p.all {
		if err := one.placed(p.objects.options.Selector, p.source); err != nil {
			return nil, err
		}
		for _, other := range p.all[:i] {
			if !one.meets(other.place) {
				continue
			}
			if one.up.port == 0 || one.up.port == other.up.port {
				return nil, one.settings.node.refuse("stands before the same pods as the one at line %d, and their ports do not tell them apart; convert them one by one", other.settings.node.line())
			}
			one.ports, other.ports = []int32{one.up.port}, []int32{other.up.port}
		}
	}
	for _, one := range p.all {
		if err := one.known(); err != nil {
			return nil, err
		}
		if len(one.ports) > 0 {
			one.settings.node.note(Differs, "another proxy stands before the same pods, so its rules are for port %d alone", one.ports[0])
		}
		spec, err := p.convert(one)
		if err != nil {
			return nil, err
		}
		if taken[one.namespace] == nil {
			taken[one.namespace] = names{}
		}
		made := Policy{Metadata: Metadata{taken[one.namespace].unique(one.name), one.namespace}, Spec: Spec{Spec: spec}}
		made.Spec.Selector.MatchLabels = one.labels
		out = append(out, made)
		one.settings.rest()
	}
	return out, nil
}

// known refuses settings whose values are not in the files, if they are about who is let in.
func (one *proxy) known() error {
	for _, name := range slices.Sorted(maps.Keys(one.all)) {
		if x := one.all[name]; x.hidden && one.flags[name].why == "" && name != "client-id" {
			return x.node.refuse("has a value that is not in the files, and so it is not known who is let in: write it out")
		}
	}
	if file := one.text("config-file"); file != "" && one.config == nil {
		one.at("config-file").note(LeftOut, "%s is not in the files; give it, or its ConfigMap, with -f too. What it lets in is refused", file)
	}
	return nil
}

// placed finds out which pods are meant, and where in them the app is.
func (one *proxy) placed(selector map[string]string, source Source) error {
	one.up = &upstream{loopback: true}
	for _, text := range one.list("upstream") {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" && u.Scheme != "unix" && u.Scheme != "file" {
			return one.at("upstream").refuse("%q is no URL", text)
		}
		if u.Scheme == "static" || u.Scheme == "file" {
			continue
		}
		port, _ := strconv.ParseInt(u.Port(), 10, 32)
		ip := net.ParseIP(u.Hostname())
		one.up.port, one.up.path = int32(port), strings.TrimSuffix(u.Path, "/")
		one.up.loopback = one.up.loopback && (u.Hostname() == "localhost" || ip.IsLoopback() || u.Scheme == "unix")
	}
	switch {
	case len(selector) > 0:
		one.labels = selector
	case !one.up.loopback:
		return one.at("upstream").refuse("is another pod than that of %s; give --selector with the labels of the app's pods, which are those to guard", source)
	case len(one.labels) == 0:
		return one.settings.node.refuse("does not say which pods it stands before; give --selector with the labels of the app's pods")
	}
	return nil
}

// limit has a match hold for the proxy's own app alone: its port, and below the path of its upstream.
func (one *proxy) limit(m policy.Match) policy.Match {
	m.Ports = one.ports
	return m
}

// isConfig reports whether a text is lines of key = value.
func isConfig(data []byte) bool {
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		key, _, found := strings.Cut(line, "=")
		key = strings.TrimSpace(key)
		return found && key != "" && strings.Trim(key, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
	}
	return false
}
