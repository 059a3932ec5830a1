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
    what: "fields of the mesh in a trailer, known or not",
    bytes:
      "GET / HTTP/1.1\r\nHost:\r\nTransfer-Encoding:chunked\r\n\r\n0\r\nskein-attempt:9\r\nskein-:\r\nskein-error:x\r\n\r\n"
  },
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
  },
  {
    target: "responses to HEAD",
    what: "the comparison itself: an equal length whose line is not over",
    bytes: "HTTP/1.1 100\r\nContent-Length:0\r\nContent-Length:0"
  },
  {
    target: "requests",
    what: "a connection option in a trailer, which llhttp obeys",
    bytes:
      "GET http://x HTTP/1.1\r\nHost:\r\nTransfer-Encoding:chunked\r\nE:\r\n\r\n0\r\nConnection:close\r\nt:\r\n\r\nA / HTTP/1.1\r\nHost:[:1]\r\n\r\n"
  },
  {
    target: "responses to GET",
    what: "a coding in a trailer, after which llhttp waits for the end of the connection",
    bytes:
      "HTTP/1.1 200\r\nTransfer-Encoding:chunked\r\n\r\n0\r\nTransfer-Encoding:i\r\n\r\nHTTP/1.1 500\r\n"
  },
  {
    target: "responses to POST",
    what: "the comparison itself: an empty coding as a trailer",
    bytes:
      "HTTP/1.1 404\r\ntransfer-encoding:Chunked\r\n\r\n0\r\nTransfer-Encoding:\r\n\r\nHTTP/1.1 204\r\n\r\n"
  },
  {
    target: "requests",
    what: "the comparison itself: content that looks like a chunk-size line with blanks",
    bytes:
      "PATCH / HTTP/1.1\r\nContent-Length:5\r\nHost:\r\n\r\n0\r\n\r\nGET / HTTP/1.2\r\nTransfer-Encoding:chunked\r\nHost:[:1]\r\n\r\n1;a\r\na\r\na\r\n1; j\t= k ;l\r\n"
  },
  {
    target: "requests",
    what: "words that begin with 100-continue are not it",
    bytes: "GET / HTTP/1.2\r\nExpect:100-continuef\r\nHost:\r\nn:\r\n\r\n"
  }
]
