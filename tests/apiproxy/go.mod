module regrow.dev/regrow/tests/apiproxy

go 1.26.0
