import { describe, expect, it } from "vitest"
import type { Protocol } from "../model/NodeRecord.ts"
import { makeNodeConfig, type NodeConfigInput } from "./NodeConfig.ts"
import { meshWarnings, portWarnings } from "./PolicyReach.ts"

const told = (config: NodeConfigInput, offered: Readonly<Record<string, Protocol>>) =>
  meshWarnings(
    makeNodeConfig(config),
    new Map(Object.entries(offered).map(([name, protocol]) => [name, { protocol }]))
  ).map(({ describe }) => describe())

describe("against what the mesh offers", () => {
  it("says nothing of policies that take effect", () => {
    const policies = {
      web: { timeout: { request: "1s" }, retry: { methods: ["*"] } },
      db: { timeout: { connect: "2s" }, ejection: "off" }
    } as const
    expect(told({ policies }, { web: "http", db: "tcp" })).toEqual([])
  })

  it("names the policy of nobody's service, with the one that may be meant", () => {
    expect(told({ policies: { paymnets: {}, ledger: {} } }, { payments: "http" })).toEqual([
      "policies.paymnets: no node of the mesh offers paymnets; did you mean payments?",
      "policies.ledger: no node of the mesh offers ledger; see `skein services`"
    ])
  })

  it("names what holds for HTTP only and was written for TCP", () => {
    const policies = {
      db: { timeout: { request: "1s", perTry: "500ms" }, retry: { on: ["5xx"] } },
      cache: { timeout: { idle: "1m" } }
    } as const
    expect(told({ policies }, { db: "tcp", cache: "tcp" })).toEqual([
      "policies.db: timeout.request, timeout.perTry, retry.on: for HTTP only, and the mesh offers db as tcp; leave them out",
      "policies.cache: timeout.idle: for HTTP only, and the mesh offers cache as tcp; leave it out"
    ])
  })

  it("names local ports that reach nobody, or nobody who understands them", () => {
    const upstreams = [
      { service: "db", listen: "127.0.0.1:1", protocol: "http" },
      { service: "web", listen: "127.0.0.1:2" },
      { service: "nobody", listen: "127.0.0.1:3" }
    ] as const
    expect(told({ upstreams }, { db: "tcp", web: "http" })).toEqual([
      "upstreams[0]: http cannot reach db, which the mesh offers as tcp: every call is refused; write protocol: tcp",
      "upstreams[2]: no node of the mesh offers nobody; see `skein services`"
    ])
  })
})

describe("against local ports", () => {
  const policies = { web: { timeout: { request: "1s" }, retry: { on: ["5xx"] } } } as const
  const port = { service: "web", listen: "127.0.0.1:5433" } as const

  it("a port carries TCP unless it says http, and then HTTP's policies do not hold there", () => {
    expect(portWarnings(makeNodeConfig({ policies, upstreams: [port] }))).toEqual([
      "policies.web: timeout.request, retry.on: not for what comes through upstreams[0] (127.0.0.1:5433), which carries TCP; write protocol: http there if web speaks it"
    ])
  })

  it.each([
    { policies, upstreams: [{ ...port, protocol: "http" }] },
    { policies: { web: { timeout: { tcpIdle: "1m" } } }, upstreams: [port] },
    { policies: { other: policies.web }, upstreams: [port] }
  ] as const)("nothing is said of %j", (config) => {
    expect(portWarnings(makeNodeConfig(config))).toEqual([])
  })
})
