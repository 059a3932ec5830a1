/**
 * Inputs that once were findings, minimised, as latin-1 text: what broke, and under which target.
 * They are judged on every run of the tests.
 */
export interface Regression {
  readonly target: string
  readonly what: string
  readonly bytes: string
}

export const regressions: ReadonlyArray<Regression> = [
  {
    target: "requests",
    what: "the comparison itself: an error in the body of an upgrade is told by reading less",
    bytes:
      "GET / HTTP/1.1\r\nConnection:Upgrade\r\nUpgrade:5\r\nTransfer-Encoding:chunked\r\nHost:\r\n\r\n1\r\nxx"
  },
  {
    target: "requests",
    what: "Proxy-Connection is not Connection, though llhttp takes it for that",
    bytes: "PUT / HTTP/1.0\r\nProxy-Connection:keep-alive\r\ns:\r\n\r\nGET / HTTP/1.1\r\n\r\n"
  },
  {
    target: "requests",
    what: "methods that are not registered are an intermediary's to carry",
    bytes: "PROPFIND / HTTP/1.1\r\nHost:\r\nh:\r\n\r\nD / HTTP/1.1\r\nHost:"
  },
  {
    target: "requests",
    what: "the comparison itself: no word of an error at the last byte of an upgrade's body",
    bytes:
      "GET / HTTP/1.1\r\nConnection:Upgrade\r\nUpgrade:t\r\nHost:\r\nTransfer-Encoding:chunked\r\n\r\n1a\r\nGET / HTTP/*.1\r\n\r\n\r\n000\r\n\r\n"
  },
  {
    target: "requests",
    what: "PRI is reserved for the preface of HTTP/2",
    bytes: "PRI / HTTP/1.1\r\nHost:"
  },
  {
    target: "link, calling end",
    what: "a peer's interim head that is none: 101, and then another head",
    bytes:
      "\0\0\x34\x03\0\0\0\x03HTTP/1.1 101 OK\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n" +
      "\0\0\x13\x02\0\0\0\x03HTTP/1.1 204 OK\r\n\r\n\0\0\n\x05\0\0\0\x03\0\x05x-sum\0\x01xx"
  },
  {
    target: "responses to GET",
    what: "control bytes in a reason phrase, which llhttp takes",
    bytes: "HTTP/1.1 200 \0\r\n\r\n"
  }
]
