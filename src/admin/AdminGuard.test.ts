import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { type GuardOptions, guard, type RequestFacts } from "./AdminGuard.ts"

const holdsToken = (text: string) => text === "Bearer right"
const loopback: GuardOptions = { unix: false, remoteNames: undefined, holdsToken }
const remote: GuardOptions = { unix: false, remoteNames: ["host-a"], holdsToken }
const unix: GuardOptions = { unix: true, remoteNames: undefined, holdsToken }

const request = (facts: Partial<RequestFacts>): RequestFacts => ({
  method: "GET",
  path: "/api/v1/status",
  host: "127.0.0.1:4191",
  origin: undefined,
  authorization: undefined,
  ...facts
})

describe("guard", () => {
  it.each<readonly [boolean, string, Partial<RequestFacts>, GuardOptions]>([
    [true, "an address", {}, loopback],
    [true, "another loopback address", { host: "127.9.9.9" }, loopback],
    [true, "IPv6 loopback", { host: "[::1]:4191" }, loopback],
    [true, "localhost, any case", { host: "LocalHost:4191" }, loopback],
    [true, "localhost with a dot", { host: "localhost." }, loopback],
    [false, "no Host", { host: undefined }, loopback],
    [false, "a name that was rebound", { host: "evil.example:4191" }, loopback],
    [false, "a name that looks like loopback", { host: "127.0.0.1.evil.example" }, loopback],
    [false, "a name that ends in localhost", { host: "x.localhost" }, loopback],
    [false, "an address of another interface", { host: "192.0.2.1:4191" }, loopback],
    [false, "a rebound name, even for /metrics", { host: "evil", path: "/metrics" }, loopback],
    [true, "GET with Origin (its reader cannot see the answer)", { origin: "http://x" }, loopback],
    [false, "POST with Origin", { method: "POST", origin: "http://x" }, loopback],
    [
      false,
      "POST with its own Origin",
      { method: "POST", origin: "http://127.0.0.1:4191" },
      loopback
    ],
    [false, "POST with Origin null", { method: "POST", origin: "null" }, loopback],
    [
      false,
      "GET of a rebound name with the token",
      { host: "x", authorization: "Bearer right" },
      loopback
    ],
    [
      false,
      "POST with Origin and the token",
      { method: "POST", origin: "null", authorization: "Bearer right" },
      loopback
    ],
    [true, "remote, by address", { host: "192.0.2.1:4191" }, remote],
    [true, "remote, by the host's name", { host: "Host-A:4191" }, remote],
    [false, "remote, by an unknown name", { host: "evil.example" }, remote],
    [true, "a probe by an unknown name", { host: "pod.svc", path: "/ready" }, remote],
    [false, "POST to a probe's path", { host: "pod.svc", path: "/ready", method: "POST" }, remote],
    [true, "a socket, any Host", { host: "anything" }, unix],
    [false, "a socket, but with Origin", { method: "POST", origin: "http://x" }, unix]
  ])("%s: %s", (passes, _, facts, options) => {
    const refusal = guard(request(facts), options)
    expect(refusal === undefined).toBe(passes)
    if (refusal !== undefined) expect(refusal.code).toBe("forbidden")
  })

  it.each<readonly [string | undefined, string, Partial<RequestFacts>, GuardOptions]>([
    ["control_needed", "a port alone", {}, loopback],
    ["control_needed", "another port alone", { host: "192.0.2.1" }, remote],
    ["control_needed", "a method nobody knows", { method: "BREW" }, loopback],
    ["wrong_token", "a wrong token", { authorization: "Bearer wrong" }, loopback],
    ["wrong_token", "no bearer's", { authorization: "right" }, loopback],
    [undefined, "the token", { authorization: "Bearer right" }, loopback],
    [
      undefined,
      "the token, from elsewhere",
      { host: "192.0.2.1", authorization: "Bearer right" },
      remote
    ],
    [undefined, "the socket", {}, unix],
    [undefined, "the socket, whatever the token", { authorization: "Bearer wrong" }, unix],
    [
      undefined,
      "what only shows, whatever the token",
      { method: "GET", authorization: "x" },
      loopback
    ]
  ])("a change, %s: %s", (code, _, facts, options) => {
    const refusal = guard(request({ method: "POST", path: "/api/v1/drain", ...facts }), options)
    expect(refusal?.code).toBe(code)
    // What was sent as a token is nobody else's business.
    expect(JSON.stringify(refusal ?? {})).not.toMatch(/Bearer (wrong|right)/)
  })

  it("no Host but a loopback one passes on a loopback address", () => {
    fc.assert(
      fc.property(fc.domain(), fc.option(fc.nat(65_535)), (name, port) => {
        const host = port === null ? name : `${name}:${port}`
        expect(guard(request({ host }), loopback)).toBeDefined()
      })
    )
  })
})
