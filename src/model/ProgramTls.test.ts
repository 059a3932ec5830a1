import { X509Certificate } from "node:crypto"
import { describe, expect, it } from "vitest"
import { TestCa } from "../../test/fixtures/Certificates.ts"
import { expectedName, handshakeTrouble, pinOf, tlsTrouble } from "./ProgramTls.ts"

const ca = new TestCa()
const made = ca.issue(["pay.test"])
const certificate = new X509Certificate(made.cert)
const pin = pinOf(certificate)
const good = { authorized: true, problem: undefined, certificate: certificate.raw, now: Date.now() }
const bad = (problem: string) => ({ ...good, authorized: false, problem })

describe("tlsTrouble", () => {
  it("believes whom the runtime believes, and nobody else", () => {
    expect(tlsTrouble({ alpn: [] }, "pay.test", good)).toBeUndefined()
    for (const problem of ["", "SOMETHING_NEW", "CERT_HAS_EXPIRED", "SELF_SIGNED_CERT_IN_CHAIN"]) {
      expect(tlsTrouble({ alpn: [] }, "pay.test", bad(problem))).toBeDefined()
    }
    expect(tlsTrouble({ alpn: [] }, "pay.test", { ...good, certificate: undefined })).toBe(
      "it showed no certificate"
    )
  })

  it("takes a pin for all there is to know, and beside a CA for one thing more", () => {
    const unknown = bad("DEPTH_ZERO_SELF_SIGNED_CERT")
    const other = `sha256/${"A".repeat(43)}=`
    expect(tlsTrouble({ alpn: [], pins: [other, pin] }, "x", unknown)).toBeUndefined()
    expect(tlsTrouble({ alpn: [], pins: [other] }, "x", good)).toContain(`its key is ${pin}`)
    expect(tlsTrouble({ alpn: [], pins: [pin], ca: ca.cert }, "x", unknown)).toContain(
      "no CA of tls.ca"
    )
    expect(tlsTrouble({ alpn: [], pins: [other], ca: ca.cert }, "x", good)).toContain(pin)
  })

  it("asks nothing of anybody where that is said", () => {
    const none = { authorized: false, problem: "", certificate: undefined, now: 0 }
    expect(tlsTrouble({ alpn: [], insecure: true }, "x", none)).toBeUndefined()
  })

  it("names what is wrong and the mend", () => {
    const say = (problem: string, host = "10.0.0.1") => tlsTrouble({ alpn: [] }, host, bad(problem))
    expect(say("ERR_TLS_CERT_ALTNAME_INVALID")).toBe(
      "its certificate is for DNS:pay.test and not for 10.0.0.1; write one of its names to tls.serverName"
    )
    expect(say("UNABLE_TO_VERIFY_LEAF_SIGNATURE")).toContain(`tls.pin: ${pin}`)
    expect(say("UNABLE_TO_VERIFY_LEAF_SIGNATURE")).toContain("CN=test CA")
    const early = { ...bad("CERT_NOT_YET_VALID"), now: 0 }
    expect(tlsTrouble({ alpn: [] }, "pay.test", early)).toContain("is a clock wrong?")
    expect(say("CERT_HAS_EXPIRED")).toContain("above its own")
    const old = new X509Certificate(ca.issue(["pay.test"], new Date(0)).cert).raw
    for (const problem of ["CERT_HAS_EXPIRED", "UNABLE_TO_VERIFY_LEAF_SIGNATURE"]) {
      const expired = { ...bad(problem), certificate: old }
      expect(tlsTrouble({ alpn: [] }, "pay.test", expired)).toMatch(
        /its certificate has expired \(Jan .* 1970 GMT\)/
      )
    }
  })
})

describe("expectedName", () => {
  it("is what is said, else the host, else this one", () => {
    expect(expectedName({ alpn: [], serverName: "a.test" }, "10.0.0.1")).toBe("a.test")
    expect(expectedName({ alpn: [] }, "10.0.0.1")).toBe("10.0.0.1")
    expect(expectedName({ alpn: [] }, "unix:/run/a.sock")).toBe("localhost")
  })
})

describe("handshakeTrouble", () => {
  it("says nothing of what is not about TLS", () => {
    const refused = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" })
    expect(handshakeTrouble(refused)).toBeUndefined()
  })
})
