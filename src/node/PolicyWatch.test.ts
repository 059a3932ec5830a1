import { Effect, Exit, Logger, Scope } from "effect"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { makeNodeConfig, type NodeConfig } from "../config/NodeConfig.ts"
import { MeshViewSource } from "../model/MeshView.ts"
import { ServiceName } from "../model/Names.ts"
import type { Protocol } from "../model/NodeRecord.ts"
import { HandTicker } from "../testing/InboundFixture.ts"
import { endpointView } from "../testing/OutboundFixture.ts"
import { PolicyWatch, patience } from "./PolicyWatch.ts"

let scope: Scope.CloseableScope
let ticker: HandTicker
let view: MeshViewSource
let config: NodeConfig
let watch: PolicyWatch
let log: Array<string>
/** How often all policies were looked at. */
let looks: number

const offer = (offered: Readonly<Record<string, Protocol>>): void =>
  view.set(
    new Map(
      Object.entries(offered).map(([text, protocol]) => {
        const name = ServiceName.make(text)
        return [name, { name, protocol, endpoints: [] }]
      })
    )
  )

beforeEach(async () => {
  scope = Effect.runSync(Scope.make())
  ticker = new HandTicker()
  view = new MeshViewSource()
  log = []
  looks = 0
  config = makeNodeConfig({
    policies: { web: { timeout: { request: "1s" } }, wbe: {} }
  })
  const logger = Logger.make<unknown, void>(({ message }) => void log.push(String(message)))
  watch = await Effect.runPromise(
    PolicyWatch.make({
      config: () => {
        looks++
        return config
      },
      view,
      ticker
    }).pipe(Scope.extend(scope), Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
  )
})
afterEach(() => Effect.runPromise(Scope.close(scope, Exit.void)))

const unknown = "policies.wbe: no node of the mesh offers wbe; did you mean web?"
const tcp =
  "policies.web: timeout.request: for HTTP only, and the mesh offers web as tcp; leave it out"

describe("the log", () => {
  it("says of unknown services nothing until hosts have had time to start, then once", () => {
    offer({ web: "http" })
    ticker.advance(patience - 100)
    expect(log).toEqual([])
    ticker.advance(200)
    expect(log).toEqual([unknown])
    offer({ web: "http", other: "http" })
    ticker.advance(patience)
    expect(log).toEqual([unknown])
  })

  it("says at once that a service speaks another protocol, and again when it does again", () => {
    offer({ web: "tcp", wbe: "http" })
    expect(log).toEqual([tcp])
    offer({ web: "tcp", wbe: "http", more: "http" })
    expect(log).toEqual([tcp])
    offer({ web: "http", wbe: "http" })
    offer({ web: "tcp", wbe: "http" })
    expect(log).toEqual([tcp, tcp])
  })

  it("is not bothered by endpoints that come and go", () => {
    offer({ web: "http" })
    const name = ServiceName.make("web")
    const before = looks
    view.set(new Map([[name, { name, protocol: "http", endpoints: [endpointView("a")] }]]))
    expect(looks).toBe(before)
    offer({})
    expect(looks).toBe(before + 1)
  })

  it("does not repeat what whoever reloaded was told", () => {
    offer({ web: "http" })
    config = makeNodeConfig({ policies: { wbe: {} } })
    expect(watch.all()).toEqual([unknown])
    ticker.advance(patience + 100)
    expect(log).toEqual([])
  })

  it("is silent when the node has stopped", async () => {
    await Effect.runPromise(Scope.close(scope, Exit.void))
    offer({ web: "tcp" })
    ticker.advance(2 * patience)
    expect(log).toEqual([])
  })
})
