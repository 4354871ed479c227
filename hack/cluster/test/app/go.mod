module github.com/bearerguard/bearerguard/hack/cluster/test/app

go 1.26.0
