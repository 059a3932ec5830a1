/** A plane over two lives of its mesh thread. */
import { afterEach, describe, expect, it } from "vitest"
import { until } from "../../test/fixtures/Processes.ts"
import type { EndpointView, ServiceView, ViewChange } from "../model/MeshView.ts"
import { NodeName, PeerKey, ServiceName } from "../model/Names.ts"
import type { FromPlane, ListenSpec, PlaneSetup } from "../request/PlaneMessages.ts"
import { defaultPolicy } from "../schema/PolicySchema.ts"
import { ProgramPlane } from "./ProgramPlane.ts"

const self = PeerKey.make("12D3KooWKF6X2KPTPHQSgDgd6jQNQ3rLyy9J3FJvguN8ugfxZVKh")
const other = PeerKey.make("12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust")
const web = ServiceName.make("web")
const setup: PlaneSetup = {
  self: { peer: self, node: "program" },
  ...{ index: 0, threads: 1, sharePorts: false, defaultPolicy, accessLog: false, traces: false }
}
const proxy: ListenSpec = { kind: "proxy", host: "127.0.0.1", port: 0 }

const endpoint: EndpointView = {
  ...{ key: `${other}/web/1`, peer: other, node: NodeName.make("host-b"), endpoint: "1" },
  ...{ healthy: true, draining: false, member: "alive", weight: 1, local: false, zone: undefined }
}
const whole = (version: number, ...endpoints: ReadonlyArray<EndpointView>): ViewChange => ({
  ...{ version, since: undefined, gone: [] },
  services:
    endpoints.length === 0 ? [] : [{ name: web, protocol: "http", set: endpoints, removed: [] }]
})

const planes: Array<ProgramPlane> = []
afterEach(() => {
  for (const plane of planes.splice(0)) plane.stop()
})

const setUp = () => {
  const plane = new ProgramPlane({ log: () => undefined })
  planes.push(plane)
  const life = () => {
    const heard: Array<FromPlane> = []
    plane.begin(setup, (message) => heard.push(message))
    const hears = (type: FromPlane["type"]) =>
      until(type, () => heard.find((message) => message.type === type))
    return { heard, hears }
  }
  const services = (): ReadonlyArray<ServiceView> => [
    ...(plane.plane?.view.current.services.values() ?? [])
  ]
  return { plane, life, services }
}

describe("the plane of a program", () => {
  it("keeps its view until the next mesh thread has met the mesh, and takes that whole", () => {
    const { life, plane, services } = setUp()
    life()
    plane.receive({ type: "view", change: whole(5, endpoint) })
    const [before] = services()
    plane.lost()
    life()
    plane.receive({ type: "view", change: whole(1) })
    expect(services()).toEqual([before])
    const draining = { ...endpoint, draining: true }
    const services_ = [{ name: web, protocol: "http", set: [draining], removed: [] }] as const
    plane.receive({
      type: "view",
      change: { version: 2, since: 1, services: services_, gone: [] }
    })
    plane.met()
    expect(services()[0]?.endpoints).toEqual([draining])
    plane.receive({ type: "view", change: { version: 3, since: 2, services: [], gone: [web] } })
    expect(services()).toEqual([])
  })

  it("keeps its ports, and gives up those that are not asked for again", async () => {
    const { life, plane } = setUp()
    const first = life()
    plane.receive({ type: "listen", id: 3, spec: proxy })
    const opened = await first.hears("listening")
    plane.receive({ type: "listen", id: 4, spec: { ...proxy, host: "127.0.0.2" } })
    await until("the second", () =>
      first.heard.filter(({ type }) => type === "listening").length === 2 ? true : undefined
    )
    plane.lost()
    // A thread that fails to start closes what it had asked for, which is not its any more.
    plane.receive({ type: "listen.close", id: 3 })
    const second = life()
    plane.receive({ type: "listen", id: 9, spec: proxy })
    expect(await second.hears("listening")).toEqual({ ...opened, id: 9 })
    expect(plane.held).toHaveLength(2)
    plane.met()
    expect(plane.held).toEqual([proxy])
  })

  it("is not ended by the end of a mesh thread, and remembers that it was drained", () => {
    const { life, plane } = setUp()
    const { heard } = life()
    plane.receive({ type: "drain", reason: "asked" })
    plane.receive({ type: "stop" })
    expect(heard.at(-1)).toEqual({ type: "stopped" })
    plane.lost()
    const next = life()
    plane.receive({ type: "ask", id: 1, question: { kind: "load" } })
    expect(next.heard.at(-1)).toMatchObject({ type: "answer", id: 1 })
    expect(plane.isDraining).toBe(true)
  })
})
