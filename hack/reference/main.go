// Command reference writes the pages of docs/ that follow from the code: reasons.md from the closed list of reasons, what clients
// are told, the causes and the advice, and the same as JSON for the dashboard; metrics.md from the metrics that the programs register; flags.md from their flags,
// values.md from the chart, api.md from the CustomResourceDefinitions. "make generate" runs it in the root of the repository; its tests hold the pages to the code.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if err := write("."); err != nil {
		fmt.Fprintf(os.Stderr, "error: %v\n", err)
		os.Exit(1)
	}
}

// write writes the pages of a copy of the repository.
func write(root string) error {
	pages, err := render(root)
	if err != nil {
		return err
	}
	for name, text := range pages {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil { //nolint:gosec // a page is for everybody
			return err
		}
	}
	return nil
}

// render returns the pages by their paths.
func render(root string) (map[string]string, error) {
	reasons, err := reasonsPage(root)
	if err != nil {
		return nil, err
	}
	data, err := reasonsData(root)
	if err != nil {
		return nil, err
	}
	metrics, err := metricsPage()
	if err != nil {
		return nil, err
	}
	pages := map[string]string{
		"docs/reasons.md": reasons, "docs/metrics.md": metrics, "cmd/kubectl-bearerguard/dashboard/assets/reasons.json": data,
	}
	for name, page := range map[string]func(root string) (string, error){
		"docs/flags.md": flagsPage, "docs/values.md": valuesPage, "docs/api.md": apiPage,
	} {
		if pages[name], err = page(root); err != nil {
			return nil, err
		}
	}
	return pages, nil
}
