-- For wrk: posts one body with one key, and prints what came of it as JSON on its last line. Arguments: BODY_FILE AUTHORIZATION.
-- There is no `response` function: with one, wrk hands every answer to Lua and becomes several times slower.

function init(args)
   local file = assert(io.open(args[1], "rb"))
   wrk.method = "POST"
   wrk.body = file:read("*a")
   file:close()
   wrk.headers["Authorization"] = args[2]
   wrk.headers["Content-Type"] = "application/json"
end

function done(summary, latency, requests)
   local errors = summary.errors
   io.write(string.format(
      '\n{"duration_us":%d,"requests":%d,"p50_us":%d,"p99_us":%d,"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}\n',
      summary.duration, summary.requests, latency:percentile(50), latency:percentile(99),
      errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
