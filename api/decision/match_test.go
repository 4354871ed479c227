package decision_test

import (
	"testing"

	"github.com/bearerguard/bearerguard/api/decision"
)

func TestMatch(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		match   string
		deny    bool
		line    string
		headers []string
		want    bool
	}{
		"a literal":                               {match: "paths: [/a/b]", line: "GET /a/b", want: true},
		"a literal has case":                      {match: "paths: [/a/b]", line: "GET /a/B"},
		"a dot of a literal is a dot":             {match: "paths: [/a.b]", line: "GET /axb"},
		"a template is canonical too":             {match: "paths: ['/%61/b;c/ä']", line: "GET /a/b%3Bc/%C3%A4", want: true},
		"one segment":                             {match: "paths: ['/a/*/c']", line: "GET /a/b/c", want: true},
		"one segment is not two":                  {match: "paths: ['/a/*/c']", line: "GET /a/b/b/c"},
		"one segment is not none":                 {match: "paths: ['/a/*']", line: "GET /a/"},
		"a capture":                               {match: "paths: ['/a/{x}']", line: "GET /a/b", want: true},
		"a literal star is written as an escape":  {match: "paths: ['/a/%2A']", line: "GET /a/b"},
		"the rest":                                {match: "paths: ['/a/**']", line: "GET /a/b/c/", want: true},
		"the rest may be none":                    {match: "paths: ['/a/**']", line: "GET /a", want: true},
		"the rest may be a slash":                 {match: "paths: ['/a/**']", line: "GET /a/", want: true},
		"the rest of another segment":             {match: "paths: ['/a/**']", line: "GET /ab"},
		"everything":                              {match: "paths: ['/**']", line: "GET /", want: true},
		"a gRPC method":                           {match: "paths: [/shop.Orders/Get]", line: "POST /shop.Orders/Get", want: true},
		"all methods of a gRPC service":           {match: "paths: ['/shop.Orders/*']", line: "POST /shop.Orders/Get", want: true},
		"a final slash matters to allow":          {match: "paths: [/a]", line: "GET /a/"},
		"a final slash does not matter to deny":   {match: "paths: [/a]", deny: true, line: "GET /a/", want: true},
		"nor does its absence":                    {match: "paths: [/a/]", deny: true, line: "GET /a", want: true},
		"nor does one after a capture":            {match: "paths: ['/a/{x}']", deny: true, line: "GET /a/b/", want: true},
		"a host":                                  {match: "hosts: [api.example.com]", line: "GET api.example.com/", want: true},
		"a host in upper case":                    {match: "hosts: [API.example.com]", line: "GET api.example.com/", want: true},
		"a host's dot is a dot":                   {match: "hosts: [api.example.com]", line: "GET api-example.com/"},
		"all below a host":                        {match: "hosts: ['*.example.com']", line: "GET a.b.example.com/", want: true},
		"all below a host, not itself":            {match: "hosts: ['*.example.com']", line: "GET example.com/"},
		"all below a host, not a longer name":     {match: "hosts: ['*.example.com']", line: "GET badexample.com/"},
		"an IPv6 host":                            {match: "hosts: ['[::1]']", line: "GET [::1]/", want: true},
		"a method":                                {match: "methods: [GET, POST]", line: "POST /", want: true},
		"a method has case":                       {match: "methods: [GET]", line: "get /"},
		"a port":                                  {match: "ports: [8080]", line: "GET /", want: true},
		"another port":                            {match: "ports: [8081]", line: "GET /"},
		"a header exists":                         {match: "headers: [{name: x-a, exists: true}]", line: "GET /", headers: []string{"X-A: "}, want: true},
		"a header does not exist":                 {match: "headers: [{name: x-a, exists: false}]", line: "GET /", want: true},
		"a header must not exist":                 {match: "headers: [{name: x-a, exists: false}]", line: "GET /", headers: []string{"X-A: 1"}},
		"a header's value":                        {match: "headers: [{name: x-a, values: [b, a]}]", line: "GET /", headers: []string{"X-A: a"}, want: true},
		"a header's value has case":               {match: "headers: [{name: x-a, values: [a]}]", line: "GET /", headers: []string{"X-A: A"}},
		"a header is missing":                     {match: "headers: [{name: x-a, values: [a]}]", line: "GET /"},
		"two values, one of them another":         {match: "headers: [{name: x-a, values: [a]}]", line: "GET /", headers: []string{"X-A: a", "X-A: b"}},
		"two values that both fit":                {match: "headers: [{name: x-a, values: [a, b]}]", line: "GET /", headers: []string{"X-A: a", "X-A: b"}, want: true},
		"two values, deny fits by one":            {match: "headers: [{name: x-a, values: [a]}]", deny: true, line: "GET /", headers: []string{"X-A: b", "X-A: a"}, want: true},
		"two headers":                             {match: "headers: [{name: x-a, values: [a]}, {name: x-b, exists: true}]", line: "GET /", headers: []string{"X-A: a"}},
		"all fields fit":                          {match: "paths: [/a], methods: [GET], hosts: [a.example], ports: [8080]", line: "GET a.example/a", want: true},
		"all fields but one fit":                  {match: "paths: [/a], methods: [GET], hosts: [a.example], ports: [8080]", line: "GET b.example/a"},
		"one segment as Istio writes it":          {match: "paths: ['/a/{*}/c']", line: "GET /a/b/c", want: true},
		"the rest as Istio writes it":             {match: "paths: ['/a/{**}']", line: "GET /a/b/c", want: true},
		"any segments in the middle":              {match: "paths: ['/a/**/z']", line: "GET /a/b/c/z", want: true},
		"no segments in the middle":               {match: "paths: ['/a/**/z']", line: "GET /a/z", want: true},
		"one segment is not both ends":            {match: "paths: ['/a/**/a']", line: "GET /a"},
		"any segments, another end":               {match: "paths: ['/a/**/z']", line: "GET /a/b/z/c"},
		"any segments at the start":               {match: "paths: ['/{**}/z']", line: "GET /z", want: true},
		"any segments, then one":                  {match: "paths: ['/a/**/*/z']", line: "GET /a/z"},
		"any segments, then a slash":              {match: "paths: ['/a/**/']", line: "GET /a/b/", want: true},
		"any segments, then no slash":             {match: "paths: ['/a/**/']", line: "GET /a/b"},
		"any segments and a slash, to deny":       {match: "paths: ['/a/**/z']", deny: true, line: "GET /a/b/z/", want: true},
		"the start of a segment":                  {match: "paths: ['/a/v*/c']", line: "GET /a/v1/c", want: true},
		"the start of a segment and no more":      {match: "paths: ['/a/v*']", line: "GET /a/v", want: true},
		"the start of a segment, not of two":      {match: "paths: ['/a/v*']", line: "GET /a/v1/c"},
		"the start of a segment, to deny":         {match: "paths: ['/a/v*']", deny: true, line: "GET /a/v1/", want: true},
		"the end of a segment":                    {match: "paths: ['/**/*.json']", line: "GET /a/b.json", want: true},
		"the end of a segment, another":           {match: "paths: ['/**/*.json']", line: "GET /a/b.jsonx"},
		"both ends of a segment":                  {match: "paths: ['/a*z']", line: "GET /abcz", want: true},
		"both ends of a segment do not overlap":   {match: "paths: ['/aba*aba']", line: "GET /aba"},
		"an end does not cut an escape":           {match: "paths: ['/*4']", line: "GET /%C3%A4"},
		"nor between its digits":                  {match: "paths: ['/*A4']", line: "GET /%C3%A4"},
		"an end that is not to fit, an escape":    {match: "notPaths: ['/*4']", line: "GET /%C3%A4", want: true},
		"an end after an escape":                  {match: "paths: ['/*4']", line: "GET /%C3%A44", want: true},
		"an end that is an escape":                {match: "paths: ['/*ä']", line: "GET /x%C3%A4", want: true},
		"a start that is an escape":               {match: "paths: ['/ä*']", line: "GET /%C3%A4x", want: true},
		"another path":                            {match: "notPaths: [/a]", line: "GET /b", want: true},
		"a path that is not to fit":               {match: "notPaths: ['/a/**']", line: "GET /a/b"},
		"nor with a slash":                        {match: "notPaths: [/a]", line: "GET /a/"},
		"nor without":                             {match: "notPaths: [/a/]", line: "GET /a"},
		"a slash is no way around deny":           {match: "notPaths: [/a]", deny: true, line: "GET /a/", want: true},
		"what deny leaves out":                    {match: "notPaths: [/a]", deny: true, line: "GET /a"},
		"below a path but for one":                {match: "paths: ['/a/**'], notPaths: ['/a/*/x']", line: "GET /a/b/x"},
		"below a path but for another":            {match: "paths: ['/a/**'], notPaths: ['/a/*/x']", line: "GET /a/b/y", want: true},
		"a host that is not to fit":               {match: "notHosts: ['*.A.example']", line: "GET x.a.example/"},
		"another host":                            {match: "notHosts: ['*.a.example']", line: "GET a.example/", want: true},
		"a method that is not to fit":             {match: "notMethods: [DELETE]", line: "DELETE /"},
		"nor in lower case":                       {match: "notMethods: [DELETE]", line: "delete /"},
		"another method":                          {match: "notMethods: [DELETE]", line: "GET /", want: true},
		"a method in lower case is no way out":    {match: "notMethods: [GET]", deny: true, line: "get /", want: true},
		"a port that is not to fit":               {match: "notPorts: [8080]", line: "GET /"},
		"another port than one":                   {match: "notPorts: [9090]", line: "GET /", want: true},
		"a peer":                                  {match: "remoteIPs: [10.1.2.3]", line: "GET /", want: true},
		"a peer of a block":                       {match: "remoteIPs: [192.168.0.0/16, 10.0.0.0/8]", line: "GET /", want: true},
		"a peer of another block":                 {match: "remoteIPs: [10.1.2.4]", line: "GET /"},
		"all IPv6 has no IPv4":                    {match: "remoteIPs: ['::/0']", line: "GET /"},
		"a peer that is not to fit":               {match: "notRemoteIPs: [10.0.0.0/8]", line: "GET /"},
		"a peer but for a block":                  {match: "remoteIPs: [10.0.0.0/8], notRemoteIPs: [10.2.0.0/16]", line: "GET /", want: true},
		"a header's pattern":                      {match: "headers: [{name: x-a, patterns: ['admin-*']}]", line: "GET /", headers: []string{"X-A: admin-1"}, want: true},
		"a header's pattern, other end":           {match: "headers: [{name: x-a, patterns: ['*.example']}]", line: "GET /", headers: []string{"X-A: a.example"}, want: true},
		"a value beside a pattern":                {match: "headers: [{name: x-a, values: ['*'], patterns: ['admin-*']}]", line: "GET /", headers: []string{"X-A: *"}, want: true},
		"a star among values is a star":           {match: "headers: [{name: x-a, values: ['*']}]", line: "GET /", headers: []string{"X-A: a"}},
		"a pattern of a star alone":               {match: "headers: [{name: x-a, patterns: ['*']}]", line: "GET /", headers: []string{"X-A: a"}, want: true},
		"a star alone is not empty":               {match: "headers: [{name: x-a, patterns: ['*']}]", line: "GET /", headers: []string{"X-A: "}},
		"a pattern without a star":                {match: "headers: [{name: x-a, patterns: [a]}]", line: "GET /", headers: []string{"X-A: ab"}},
		"a list that starts well":                 {match: "headers: [{name: x-a, patterns: ['a*']}]", line: "GET /", headers: []string{"X-A: a1, b"}},
		"a list that is good throughout":          {match: "headers: [{name: x-a, patterns: ['a*'], values: [b]}]", line: "GET /", headers: []string{"X-A: a1,\tb"}, want: true},
		"a list, deny fits by one":                {match: "headers: [{name: x-a, values: [b]}]", deny: true, line: "GET /", headers: []string{"X-A: a, b"}, want: true},
		"a header's value but for one":            {match: "headers: [{name: x-a, notValues: [b]}]", line: "GET /", headers: []string{"X-A: a"}, want: true},
		"a header's value that is not to fit":     {match: "headers: [{name: x-a, notValues: [b]}]", line: "GET /", headers: []string{"X-A: b"}},
		"nor among others":                        {match: "headers: [{name: x-a, notValues: [b]}]", line: "GET /", headers: []string{"X-A: a", "X-A: c, b"}},
		"a missing header is no value":            {match: "headers: [{name: x-a, notValues: [b]}]", line: "GET /", want: true},
		"it may have to be there":                 {match: "headers: [{name: x-a, exists: true, notValues: [b]}]", line: "GET /"},
		"all but a pattern":                       {match: "headers: [{name: x-a, patterns: ['*'], notPatterns: ['test-*']}]", line: "GET /", headers: []string{"X-A: test-1"}},
		"a good value does not hide a bad one":    {match: "headers: [{name: x-a, notValues: [good]}]", deny: true, line: "GET /", headers: []string{"X-A: good", "X-A: bad"}, want: true},
		"nor in a list":                           {match: "headers: [{name: x-a, notValues: [good]}]", deny: true, line: "GET /", headers: []string{"X-A: good, bad"}, want: true},
		"good values alone escape deny":           {match: "headers: [{name: x-a, notValues: [good]}]", deny: true, line: "GET /", headers: []string{"X-A: good, good"}},
		"no value does not escape deny":           {match: "headers: [{name: x-a, notValues: [good]}]", deny: true, line: "GET /", want: true},
		"many hosts and methods":                  {match: "hosts: [a.a, b.a, c.a, d.a, e.a, f.a, g.a], methods: [A, B, C, D, E, F]", line: "E f.a/", want: true},
		"many hosts and methods, not this method": {match: "hosts: [a.a, b.a, c.a, d.a, e.a, f.a, g.a], methods: [A, B, C, D, E, F]", line: "G f.a/"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			effect := "allow: {anonymous: true}"
			if test.deny {
				effect = "deny: {}"
			}
			p := compile(t, "rules: [{name: r, match: [{"+test.match+"}], "+effect+"}]")
			d := decide(t, p, request(t, test.line, test.headers...), nil)
			if d.Allowed != (test.want && !test.deny) || (d.Reason == decision.DeniedByRule) != (test.want && test.deny) {
				t.Errorf("%s: %s; want it to match: %v", test.line, d.Reason, test.want)
			}
		})
	}
}
