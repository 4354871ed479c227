package findings

import (
	"path/filepath"

	"github.com/bearerguard/bearerguard/api/lint"
)

// Log is a SARIF log (Static Analysis Results Interchange Format 2.1.0, OASIS), with the members that are used here.
type Log struct {
	Schema  string `json:"$schema"`
	Version string `json:"version"`
	Runs    []run  `json:"runs"`
}

type run struct {
	Tool    tool     `json:"tool"`
	Results []result `json:"results"`
}

type tool struct {
	Driver driver `json:"driver"`
}

type driver struct {
	Name           string `json:"name"`
	Version        string `json:"version"`
	InformationURI string `json:"informationUri"`
	Rules          []rule `json:"rules"`
}

type rule struct {
	ID               string  `json:"id"`
	ShortDescription message `json:"shortDescription"`
	HelpURI          string  `json:"helpUri"`
}

type message struct {
	Text string `json:"text"`
}

type result struct {
	RuleID    string     `json:"ruleId"`
	Level     Level      `json:"level"`
	Message   message    `json:"message"`
	Locations []location `json:"locations,omitempty"`
}

type location struct {
	Physical physical  `json:"physicalLocation"`
	Logical  []logical `json:"logicalLocations,omitempty"`
}

type physical struct {
	Artifact artifact `json:"artifactLocation"`
	Region   *region  `json:"region,omitempty"`
}

type artifact struct {
	URI string `json:"uri"`
}

type region struct {
	StartLine int `json:"startLine"`
}

type logical struct {
	FullyQualifiedName string `json:"fullyQualifiedName"`
}

const (
	home = "https://github.com/bearerguard/bearerguard"
	help = home + "/blob/main/docs/policy.md#warnings"
)

// SARIF is a log of findings. version is that of this program.
func SARIF(fs []Finding, version string) Log {
	r := run{Tool: tool{driver{Name: "bearerguard", Version: version, InformationURI: home}}, Results: []result{}}
	describe := func(c lint.Check, finds string) {
		r.Tool.Driver.Rules = append(r.Tool.Driver.Rules, rule{string(c), message{finds}, help})
	}
	describe(invalidFile, "A file that is not what it is to be.")
	describe(invalidPolicy, "A policy that is refused.")
	for _, c := range lint.Checks() {
		describe(c.Check, c.Finds)
	}
	for i := range fs {
		f := &fs[i]
		one := result{RuleID: string(f.Check), Level: f.Level, Message: message{f.Message()}}
		if f.File != "" {
			at := location{Physical: physical{Artifact: artifact{filepath.ToSlash(f.File)}}}
			if f.Line > 0 {
				at.Physical.Region = &region{f.Line}
			}
			if f.Policy != "" {
				at.Logical = []logical{{f.Policy}}
			}
			one.Locations = []location{at}
		}
		r.Results = append(r.Results, one)
	}
	return Log{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []run{r}}
}
