module github.com/bearerguard/bearerguard/hack/interop

go 1.26.4

replace github.com/bearerguard/bearerguard => ../..
