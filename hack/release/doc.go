// Command release makes the files of a release, the same bytes from the same commit: programs for each platform, the image for each
// architecture, the charts, the custom resources' schemas, bills of materials and checksums.
//
//	make release VERSION=0.1.0        # in dist/
//
// It is a module of its own, so that what builds images and bills of materials is not in the product's go.mod. Nothing is
// published or signed here: .github/workflows/release.yml does that.
package main
