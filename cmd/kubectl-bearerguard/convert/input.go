package convert

import (
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// input is the files while they are read.
type input struct {
	objects *objects
	sources map[Source]converter
	proxies []*proxies
	found   []found
	loose   []*node // files of kube-rbac-proxy's --config-file
	notes   *[]Note
}

func newInput(o Options, notes *[]Note) *input {
	all := &objects{options: o}
	login := &proxies{objects: all, source: OAuth2Proxy, program: "oauth2-proxy", flags: oauth2Flags, convert: convertOAuth2, notes: notes}
	rbac := &proxies{objects: all, source: KubeRBAC, program: "kube-rbac-proxy", flags: kubeRBACFlags, convert: convertRBAC, notes: notes}
	return &input{objects: all, notes: notes, proxies: []*proxies{login, rbac}, sources: map[Source]converter{
		Istio: &mesh{options: o}, EnvoyGateway: &gateway{objects: all}, APIServer: &apiserver{objects: all}, OAuth2Proxy: login, KubeRBAC: rbac}}
}

// file reads a file: objects, or a command line or a configuration file of a proxy.
func (in *input) file(f File) error {
	proxy, err := in.textual(f)
	if err != nil {
		return err
	}
	if proxy != nil {
		one, err := proxy.text(f, in.objects.options.Namespace)
		if err != nil {
			return err
		}
		in.found = append(in.found, found{proxy.source, one.settings.node})
		return nil
	}
	nodes, err := documents(f, in.notes)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if n.is(yaml.MappingNode) && n.field("kind") == nil && n.field("authorization") != nil {
			in.loose = append(in.loose, n)
			continue
		}
		if _, err := in.objects.add(n); err != nil {
			return err
		}
	}
	return nil
}

// textual finds the proxy that a file is a command line or a configuration file of; nil if it has objects.
func (in *input) textual(f File) (*proxies, error) {
	if isConfig(f.Data) {
		return in.proxies[0], nil
	}
	first := firstLine(f.Data)
	word, _, _ := strings.Cut(first, " ")
	flags := strings.HasPrefix(word, "-") && strings.Trim(word, "-") != ""
	for _, p := range in.proxies {
		if path.Base(word) == p.program || p.program == in.objects.options.From && flags {
			return p, nil
		}
	}
	if !flags {
		return in.inside(first), nil
	}
	name, _, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
	var of []*proxies
	for _, p := range in.proxies {
		if _, known := p.flags[name]; known {
			of = append(of, p)
		}
	}
	if len(of) != 1 {
		return nil, lineNode(f, 1, in.notes).refuse("has flags, and does not say of what; give --from oauth2-proxy or --from kube-rbac-proxy")
	}
	return of[0], nil
}

// firstLine is the first line that is no comment.
func firstLine(data []byte) string {
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			return line
		}
	}
	return ""
}

// inside finds the proxy that a command line runs by way of another program, such as docker run IMAGE --flag; nil if it is none.
func (in *input) inside(line string) *proxies {
	for _, p := range in.proxies {
		if slices.ContainsFunc(strings.Fields(line), p.named) && !strings.Contains(line, ": ") {
			return p
		}
	}
	return nil
}

// object has the sources look at an object.
func (in *input) object(x *object) error {
	for _, source := range []Source{Istio, EnvoyGateway, APIServer, OAuth2Proxy, KubeRBAC} {
		taken, err := in.sources[source].takes(x)
		if err != nil {
			return err
		}
		if taken {
			x.used = true
			in.found = append(in.found, found{source, x.node})
		}
	}
	return nil
}

// configure gives a kube-rbac-proxy its configuration, where that is a file by itself.
func (in *input) configure() error {
	all := in.proxies[1].all
	for _, n := range in.loose {
		i := slices.IndexFunc(all, func(p *proxy) bool {
			return p.config == nil && path.Base(p.settings.text("config-file")) == path.Base(n.file)
		})
		if i < 0 {
			return n.refuse("is no Kubernetes object; as the --config-file of kube-rbac-proxy it is read where a manifest or a command line of that names %s", path.Base(n.file))
		}
		all[i].config = n
	}
	return nil
}
