/**
 * Three hosts on one machine: what runs where, and each node's config.
 * The order service stands alone on host-a, where the customers come in; everything else stands
 * on both other hosts, so either of them may die.
 */
import { join } from "node:path"
import { Effect } from "effect"
import { startChild } from "../../stage/Child.ts"
import { type NodePlace, writeConfig } from "../../stage/Nodes.ts"
import { freePorts } from "../../stage/Ports.ts"
import { eventually, type StepFailed } from "../../stage/StepFailed.ts"

const shop = join(import.meta.dirname, "..")

export const hostNames = ["host-a", "host-b", "host-c"] as const
export type HostName = (typeof hostNames)[number]

export const serviceNames = ["order", "inventory", "payment", "shipping"] as const
export type Service = (typeof serviceNames)[number]

/** One instance of a service. */
export interface Placement {
  readonly service: Service
  readonly instance: string
  readonly host: HostName
}

export const placements: ReadonlyArray<Placement> = [
  { service: "order", instance: "order", host: "host-a" },
  { service: "inventory", instance: "inventory-1", host: "host-b" },
  { service: "payment", instance: "payment-1", host: "host-b" },
  { service: "shipping", instance: "shipping-1", host: "host-b" },
  { service: "inventory", instance: "inventory-2", host: "host-c" },
  { service: "payment", instance: "payment-2", host: "host-c" },
  { service: "shipping", instance: "shipping-2", host: "host-c" }
]

export interface Host extends NodePlace {
  readonly name: HostName
}

export interface ShopLayout {
  readonly hosts: Readonly<Record<HostName, Host>>
  /** On host-a: an ordinary URL that always reaches the order service. */
  readonly shopAddress: string
  /** On host-a: the proxy of the order service alone. Whoever uses it speaks for that service. */
  readonly orderProxy: string
}

export const planLayout = (directory: string): Effect.Effect<ShopLayout, StepFailed> =>
  Effect.map(freePorts(11), (ports) => {
    const host = (name: HostName, first: number): Host => ({
      name,
      directory: join(directory, name),
      admin: `127.0.0.1:${ports[first]}`,
      proxy: `127.0.0.1:${ports[first + 1]}`,
      mesh: ports[first + 2]!
    })
    return {
      hosts: {
        "host-a": host("host-a", 0),
        "host-b": host("host-b", 3),
        "host-c": host("host-c", 6)
      },
      shopAddress: `127.0.0.1:${ports[9]}`,
      orderProxy: `127.0.0.1:${ports[10]}`
    }
  })

/** The calls of the order service: every one is named by the order's id, so it may be repeated. */
const policies = {
  payment: {
    timeout: { request: "3s", perTry: "500ms" },
    retry: { attempts: 2, on: ["connect_failure", "reset", "5xx", "timeout"] }
  },
  inventory: { timeout: { request: "3s", perTry: "1s" }, ejection: { base: "2s" } },
  shipping: { timeout: { request: "3s", perTry: "1s" }, ejection: { base: "2s" } }
}

const configOf = (
  layout: ShopLayout,
  host: Host,
  otlp: string,
  addressOf: (instance: string) => string
) => ({
  ...(host.name === "host-a"
    ? { outbound: { listeners: [{ listen: layout.orderProxy, as: "order" }] } }
    : {}),
  services: placements
    .filter((placement) => placement.host === host.name)
    .map(({ service, instance }) => ({
      name: service,
      address: addressOf(instance),
      health: { http: { path: "/healthz", interval: "1s" } }
    })),
  ...(host.name === "host-a"
    ? {
        upstreams: [{ service: "order", listen: layout.shopAddress, protocol: "http" }],
        policies
      }
    : {}),
  telemetry: { otlp, sample: 0 }
})

export const writeConfigs = (
  layout: ShopLayout,
  otlp: string,
  addressOf: (instance: string) => string
): Effect.Effect<void> =>
  Effect.forEach(
    Object.values(layout.hosts),
    (host) => writeConfig(host, configOf(layout, host, otlp, addressOf)),
    { discard: true }
  )

/** A program of the shop; gives it with the address it says it listens on. */
export const startProgram = (placement: Placement, layout: ShopLayout) =>
  Effect.gen(function* () {
    const proxy =
      placement.service === "order" ? layout.orderProxy : layout.hosts[placement.host].proxy
    const child = yield* startChild({
      name: placement.instance,
      script: join(shop, `${placement.service}.js`),
      args: ["--name", placement.instance, "--port", "0"],
      env: { HTTP_PROXY: `http://${proxy}` }
    })
    const address = yield* eventually(
      `${placement.instance} listens`,
      10,
      Effect.sync(() => / listens on (\S+)/.exec(child.output())?.[1])
    )
    return { ...placement, child, address }
  })
