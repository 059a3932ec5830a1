/**
 * Messages that are right, or nearly: grammar first, so that most of an input is understood and
 * what `Mutation.ts` breaks of it is met deep inside, not in the first line.
 */
import type { Random } from "./Random.ts"

const requestLines = [
  "GET / HTTP/1.1",
  "GET /a/b?c=d&e=%20 HTTP/1.1",
  "GET /?a?b/../c HTTP/1.1",
  "POST /form HTTP/1.1",
  "POST /x HTTP/1.1",
  "PUT /x HTTP/1.0",
  "GET /old HTTP/1.0",
  "GET /new HTTP/1.2",
  "OPTIONS * HTTP/1.1",
  "OPTIONS http://b.mesh HTTP/1.1",
  "GET http://b.mesh/abs?x HTTP/1.1",
  "GET HTTP://B.Mesh:80?q HTTP/1.1",
  "DELETE /y HTTP/1.1",
  "HEAD / HTTP/1.1",
  "CONNECT b.mesh:443 HTTP/1.1",
  "GET http://b.mesh:/c HTTP/1.1",
  "GET /a?b=C:\\d HTTP/1.1",
  "GET /a\\b HTTP/1.1",
  "PATCH /%7Euser/{id}|[1] HTTP/1.1",
  "M-SEARCH /x HTTP/1.1",
  "PROPFIND / HTTP/1.1"
]

const requestFields = [
  "Accept: */*",
  "User-Agent: curl/8.5.0",
  "Cookie: a=b; c=d",
  "TE: trailers",
  "TE: gzip, trailers;q=0.5",
  "Expect: 100-continue",
  "Expect: x, 100-Continue ,",
  "Connection: Upgrade\r\nUpgrade: websocket",
  "Connection: keep-alive, Upgrade\r\nUpgrade: a/1, b",
  "Upgrade: h2c",
  "Connection: , upgrade\t,\r\nUpgrade: , h2c\t, x",
  "Proxy-Authorization: Basic eA=="
]

const statusLines = [
  "HTTP/1.1 200 OK",
  "HTTP/1.1 200 OK",
  "HTTP/1.1 200 ",
  "HTTP/1.1 404 Not Found",
  "HTTP/1.0 200 OK",
  "HTTP/1.3 200 OK",
  "HTTP/1.1 100 Continue",
  "HTTP/1.1 103 Early Hints",
  "HTTP/1.1 101 Switching Protocols",
  "HTTP/1.1 204 No Content",
  "HTTP/1.1 304 Not Modified",
  "HTTP/1.1 500 caf\xe9 (\x80)",
  "HTTP/1.1 999 X"
]

const responseFields = [
  "Server: x",
  "Set-Cookie: a=b",
  "Set-Cookie: c=d",
  "Date: Tue, 15 Nov 1994 08:12:31 GMT",
  "Connection: Upgrade\r\nUpgrade: websocket",
  "Proxy-Authenticate: Basic",
  "Keep-Alive: timeout=5, max=10"
]

const commonFields = [
  "X-Empty:",
  "X-Blanks:  \t a b \t ",
  "X-Bytes: caf\xe9",
  "X-Colons: a:b::c",
  "Connection: keep-alive",
  "Connection: close",
  "connection: Close, keep-alive",
  "Connection: keep-alive, X-Hop",
  "X-Hop: 1",
  "Keep-Alive: timeout=5",
  "Trailer: X-Sum",
  "Proxy-Connection: keep-alive",
  "Skein-Error: x",
  "skein-attempt: 2",
  "skein_attempt: 2",
  "Skein-Caller: admin",
  "skein_caller: admin",
  "skein.caller: admin",
  "Skein-Deadline: 12",
  "grpc-timeout: 1S",
  "X_Forwarded-For: 1",
  "Content_Length: 7",
  "Content-Type: text/plain"
]

const hosts = [
  "a.mesh",
  "a.mesh:8080",
  "a.mesh:",
  "a.mesh:0081",
  "a+b",
  "[::1]:80",
  "A.Mesh.",
  "a-b.mesh"
]
const contents = ["", "a", "abc\r\n", "GET / HTTP/1.1\r\n\r\n", "0\r\n\r\n", "x".repeat(17)]
const extensions = [
  "",
  "",
  "",
  ";a",
  ';b="c"',
  ";d=e",
  ";f=g;h",
  " ; j\t= k ;l",
  '; m = "n o"\t;p',
  ';i="\\";\t\xe9"'
]
const trailers = [
  "",
  "",
  "",
  "X-Sum: 1\r\n",
  "X-A: b \r\nX-C:\r\n",
  "Set-Cookie: x\r\nX-D: 1\r\n",
  "X-Hop: 1\r\nSKEIN-Error: 2\r\nvia: 3\r\n",
  "x-\xe9: 1\r\n"
]
const lengthForms = ["", "", "", "0", "00"]

const contentOf = (random: Random, lines: Array<string>): string => {
  const kind = random.next()
  if (kind < 0.3) {
    const body = random.pick(contents)
    lines.push(`Content-Length: ${random.pick(lengthForms)}${body.length}`)
    return body
  }
  if (kind < 0.65) {
    lines.push(random.pick(["Transfer-Encoding: chunked", "transfer-encoding:  Chunked "]))
    let body = ""
    while (random.chance(0.6)) {
      const data = random.pick(contents)
      if (data.length === 0) continue
      const size = data.length.toString(16)
      body += random.pick([size, size, `0${size}`, size.toUpperCase()])
      body += `${random.pick(extensions)}\r\n${data}\r\n`
    }
    return `${body}${random.pick(["0", "0", "000", "0;z"])}\r\n${random.pick(trailers)}\r\n`
  }
  return ""
}

/** In any order: framing fields stand before, between and after the others. */
const shuffle = (random: Random, lines: Array<string>): void => {
  for (let i = lines.length - 1; i > 1; i--) {
    const j = 1 + random.below(i)
    const line = lines[i]!
    lines[i] = lines[j]!
    lines[j] = line
  }
}

const fieldsInto = (random: Random, lines: Array<string>, own: ReadonlyArray<string>): void => {
  while (random.chance(0.55)) lines.push(random.pick(random.chance(0.5) ? own : commonFields))
}

export const request = (random: Random): string => {
  const lines = [random.pick(requestLines), `Host: ${random.pick(hosts)}`]
  fieldsInto(random, lines, requestFields)
  const body = contentOf(random, lines)
  shuffle(random, lines)
  return `${random.chance(0.1) ? "\r\n" : ""}${lines.join("\r\n")}\r\n\r\n${body}`
}

/** One, or a few in a row as a client pipelines them. */
export const requests = (random: Random): string => {
  let text = request(random)
  while (random.chance(0.3)) text += request(random)
  return text
}

export const response = (random: Random): string => {
  const lines = [random.pick(statusLines)]
  fieldsInto(random, lines, responseFields)
  const body = contentOf(random, lines)
  // A length once more, or as a list, as RFC 9112 §6.3 lets it stand.
  const length = lines.findIndex((line) => line.startsWith("Content-Length"))
  if (length !== -1 && random.chance(0.15)) {
    const again = lines[length]!.slice("Content-Length: ".length)
    if (random.chance(0.5)) lines.push(`content-length: ${again}`)
    else lines[length] += random.pick([`, ${again}`, ` ,0${again},,`, ","])
  }
  shuffle(random, lines)
  // Without any length the body ends with the connection.
  return `${lines.join("\r\n")}\r\n\r\n${body === "" && random.chance(0.3) ? "rest" : body}`
}

export const responses = (random: Random): string => {
  let text = response(random)
  while (random.chance(0.25)) text += response(random)
  return text
}
