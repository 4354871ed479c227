package convert

import (
	"path"

	"go.yaml.in/yaml/v3"
)

// files reads the configuration file that a container is given by a ConfigMap.
func (p *proxies) files(one *proxy, flags *settings, x *object, pod, c *node) error {
	for _, name := range []string{"config", "config-file"} {
		file := flags.text(name)
		if file == "" {
			continue
		}
		text := p.mounted(x, pod, c, file)
		if text == nil {
			if p.source == OAuth2Proxy {
				return flags.at(name).refuse("names %s, which is not in the files, so what it limits is not known: give its ConfigMap with -f too, or the file alone", file)
			}
			continue
		}
		if err := p.file(one, File{text.file, []byte(text.text())}, text); err != nil {
			return err
		}
	}
	return nil
}

// file reads the text of a configuration file. Its lines are told as those of the object that it is in.
func (p *proxies) file(one *proxy, f File, within *node) error {
	if p.source == OAuth2Proxy {
		lines, err := configLines(f, p.notes)
		if err != nil {
			return err
		}
		for _, l := range lines {
			if within != nil {
				l.node.object = within.object
				l.node.yaml.Line += within.line()
			} else {
				l.node.object = p.program
			}
			if err := one.line(l); err != nil {
				return err
			}
		}
		return nil
	}
	nodes, err := documents(f, p.notes)
	if err != nil || len(nodes) == 0 {
		return err
	}
	one.config = nodes[0]
	if within != nil {
		one.config.object = within.object
		moveLines(one.config.yaml, within.line())
	}
	return nil
}

// moveLines has the lines of a text inside another file be those of that.
func moveLines(y *yaml.Node, by int) {
	y.Line += by
	for _, child := range y.Content {
		moveLines(child, by)
	}
}

// line takes in a line of a configuration file.
func (one *proxy) line(l configLine) error {
	name := one.flagOf(l.key)
	delete(one.all, name)
	if l.list && len(l.values) == 0 {
		return nil
	}
	for _, v := range l.values {
		if err := one.put(name, v, l.node, true); err != nil {
			return err
		}
	}
	return nil
}

// mounted finds the text of a file in the ConfigMap that is mounted there.
func (p *proxies) mounted(x *object, pod, c *node, file string) *node {
	for _, m := range c.field("volumeMounts").items() {
		at, sub := m.field("mountPath").text(), m.field("subPath").text()
		key := path.Base(file)
		switch {
		case sub != "" && at == file:
			key = sub
		case at != path.Dir(file):
			continue
		}
		for _, v := range pod.field("volumes").items() {
			if v.field("name").text() != m.field("name").text() {
				continue
			}
			if o := p.objects.find("ConfigMap", x.namespace, v.field("configMap").field("name").text()); o != nil {
				text := o.node.field("data").field(key)
				if text != nil {
					text.object = "ConfigMap " + x.namespace + "/" + o.name
				}
				return text
			}
		}
	}
	return nil
}
