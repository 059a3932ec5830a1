/**
 * Requests that are right though nobody likes to see them, as they must be understood: what an
 * intermediary that is strict must not refuse.
 */
import { smuggled } from "./Corpus.ts"

const post = (lines: string, body = ""): string =>
  `POST / HTTP/1.1\r\nHost: a.mesh\r\n${lines}\r\n\r\n${body}`
const chunked = (body: string): string => post("Transfer-Encoding: chunked", body)
const get = (lines: string): string => `GET / HTTP/1.1\r\nHost: a.mesh\r\n${lines}\r\n\r\n`
const line = (start: string): string => `${start}\r\nHost: a.mesh\r\n\r\n`

export interface Unusual {
  readonly name: string
  readonly bytes: string
  readonly head: {
    readonly method?: string
    readonly target?: string
    readonly authority?: string
    readonly fields?: ReadonlyArray<string>
  }
  readonly body: string
}

const unusual = (name: string, bytes: string, head: Unusual["head"] = {}, body = ""): Unusual => ({
  name,
  bytes,
  head,
  body
})

/** Each ends where it ends: what comes behind it on the connection is the next request. */
export const unusualRequests: ReadonlyArray<Unusual> = [
  unusual(
    "GET whose content is a request",
    get(`Content-Length: ${smuggled.length}`) + smuggled,
    {},
    smuggled
  ),
  unusual(
    "GET whose content is half of one",
    `${get("Content-Length: 11")}GET /x HTTP`,
    {},
    "GET /x HTTP"
  ),
  unusual(
    "HEAD with content",
    `${get("Content-Length: 3").replace("GET", "HEAD")}abc`,
    { method: "HEAD" },
    "abc"
  ),
  unusual(
    "OPTIONS * with content",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
    { target: "*" },
    "abc"
  ),
  unusual("length of nothing", post("Content-Length: 0"), { fields: [] }),
  unusual("zeros before the length", post("Content-Length: 0003", "abc"), {}, "abc"),
  unusual("blanks around the length", post("Content-Length:    3   ", "abc"), {}, "abc"),
  unusual("no blank before the length", post("Content-Length:3", "abc"), {}, "abc"),
  unusual(
    "name in capitals",
    post("TRANSFER-ENCODING: CHUNKED", "3\r\nabc\r\n0\r\n\r\n"),
    {},
    "abc"
  ),
  unusual(
    "underscore for hyphen",
    post("Content_Length: 9\r\nTransfer_Encoding: chunked\r\nContent-Length: 3", "abc"),
    { fields: [] },
    "abc"
  ),
  unusual("content that ends like chunks", post("Content-Length: 5", "0\r\n\r\n"), {}, "0\r\n\r\n"),
  unusual("large hexadecimal digits", chunked("A\r\n0123456789\r\n00\r\n\r\n"), {}, "0123456789"),
  unusual("last chunk of many zeros", chunked("3\r\nabc\r\n0000000000000000\r\n\r\n"), {}, "abc"),
  unusual(
    "extension with everything",
    chunked('3 ; a ; b = c\t;d="\\"; \xff"\r\nabc\r\n0;e\r\n\r\n'),
    {},
    "abc"
  ),
  unusual(
    "chunk that looks like the last",
    chunked("5\r\n0\r\n\r\n\r\n0\r\n\r\n"),
    {},
    "0\r\n\r\n"
  ),
  unusual("Expect without content", get("Expect: 100-continue"), { fields: [] }),
  unusual("empty value", get("X-Empty:"), { fields: ["X-Empty", ""] }),
  unusual("colons in a value", get("X: :a::b:"), { fields: ["X", ":a::b:"] }),
  unusual("bytes over 127 in a value", get("X: \x80\xff"), { fields: ["X", "\x80\xff"] }),
  unusual("tab before Host", "GET / HTTP/1.1\r\nhoSt:\ta.mesh\t\r\n\r\n", { authority: "a.mesh" }),
  unusual("Host with an empty port", "GET / HTTP/1.1\r\nHost: a.mesh:\r\n\r\n", {
    authority: "a.mesh"
  }),
  unusual("Host unlike the target", "GET http://a.mesh/ HTTP/1.1\r\nHost: b.mesh\r\n\r\n", {
    authority: "a.mesh"
  }),
  unusual("target of 7,900 characters", line(`GET /${"x".repeat(7_900)} HTTP/1.1`)),
  unusual("target with what URIs do not have", line('GET /{a}|"^`<> HTTP/1.1'), {
    target: '/{a}|"^`<>'
  }),
  unusual("encoded NUL, CR and LF", line("GET /%00%0d%0a%2e%2e HTTP/1.1"), {
    target: "/%00%0d%0a%2e%2e"
  }),
  unusual("backslash in the query", line("GET /?a\\b HTTP/1.1"), { target: "/?a\\b" }),
  unusual("method nobody knows", line("BREW /pot HTTP/1.1"), { method: "BREW" }),
  unusual("method in small letters", line("get / HTTP/1.1"), { method: "get" }),
  unusual("HTTP/1.2", line("GET / HTTP/1.2")),
  unusual("empty line before", `\r\n${get("X: y")}`),
  unusual("empty members in Connection", get("Connection: , x-hop ,,\r\nX-Hop: 1"), { fields: [] }),
  unusual("Upgrade without Connection", get("Upgrade: websocket"), { fields: [] }),
  unusual(
    "Upgrade with content",
    post("Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 3", "abc"),
    {},
    "abc"
  )
]
