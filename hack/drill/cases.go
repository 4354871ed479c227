package main

import "slices"

// cases are all cases, in the order in which they run.
func cases() []drillCase {
	return slices.Concat(controllerCases(), clusterCases(), keyCases(), policyCases(), guardCases(), podCases(), neighbourCases(), cellCases(), lifeCases())
}
