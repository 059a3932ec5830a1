/**
 * What the shop's programs share: a small HTTP server and a client. Nothing in here or in the
 * programs knows of a mesh: calls go through the HTTP proxy that HTTP_PROXY names, as with curl.
 */
import { createServer, request } from "node:http"

/** `--port 8080` or PORT; 0, the default, takes any free one. */
const port = () => {
  const at = process.argv.indexOf("--port")
  return Number(at === -1 ? (process.env.PORT ?? 0) : process.argv[at + 1])
}

/** Which instance this is: `--name payment-2` or NAME. */
export const instance = (fallback) => {
  const at = process.argv.indexOf("--name")
  return at === -1 ? (process.env.NAME ?? fallback) : process.argv[at + 1]
}

const bodyOf = async (message) => {
  let text = ""
  for await (const chunk of message.setEncoding("utf8")) text += chunk
  return text === "" ? {} : JSON.parse(text)
}

/**
 * Serves JSON. `handle` gets method, path, the parsed body and the request's headers, and gives
 * `[status, body]` or undefined for "not found". GET /healthz is answered here.
 */
export const serve = (name, handle) => {
  const server = createServer(async (request, response) => {
    const answer = (status, body) => {
      const text = `${JSON.stringify(body)}\n`
      response.writeHead(status, { "content-type": "application/json", "x-instance": name })
      response.end(text)
    }
    try {
      const { method, url, headers } = request
      if (method === "GET" && url === "/healthz") return answer(200, { ok: true })
      const body = await bodyOf(request)
      const [status, result] = (await handle({ method, path: url, body, headers })) ?? [
        404,
        { error: `${name} has no ${method} ${url}` }
      ]
      answer(status, result)
    } catch (cause) {
      answer(500, { error: String(cause) })
    }
  })
  server.listen(port(), process.env.HOST ?? "127.0.0.1", () => {
    const { address, port } = server.address()
    console.log(`${name} listens on ${address}:${port}`)
  })
  process.on("SIGTERM", () => server.close(() => process.exit(0)).closeIdleConnections())
}

/**
 * Calls another service, handing on the trace headers of the request at hand, as every service
 * should. Gives `{ status, body }`.
 */
export const call = (method, url, body, headers) =>
  new Promise((resolve, reject) => {
    const target = new URL(url)
    const proxy = process.env.HTTP_PROXY ?? process.env.http_proxy
    const via = proxy === undefined ? target : new URL(proxy)
    const sent = request({
      method,
      hostname: via.hostname,
      port: via.port || 80,
      path: proxy === undefined ? target.pathname : url,
      headers: { host: target.host, "content-type": "application/json" }
    })
    for (const name of ["traceparent", "tracestate"]) {
      if (headers[name] !== undefined) sent.setHeader(name, headers[name])
    }
    sent.on("error", reject)
    sent.on("response", (response) =>
      bodyOf(response).then((body) => resolve({ status: response.statusCode, body }), reject)
    )
    sent.end(JSON.stringify(body))
  })
