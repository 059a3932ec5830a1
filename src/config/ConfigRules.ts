/**
 * What no single value of a config can say of itself: names used twice, ports wanted by two
 * listeners, HTTP for what is TCP. Filters of the Schema, so they hold however a config came about;
 * each names the place to change. What concerns one policy is the policy's own (model/Policy.ts).
 */
import type { Schema } from "effect"
import { isLoopback } from "../model/Loopback.ts"
import type { Policy } from "../model/Policy.ts"
import { formatPath, type ProblemPath } from "../model/Problem.ts"
import { unixPathOf } from "../model/UnixHost.ts"
import {
  type AdminAddress,
  collides,
  formatAdminAddress,
  formatHostPort,
  type HostPort
} from "./HostPort.ts"
import { parseMultiaddr } from "./Multiaddr.ts"
import { type HttpPart, httpParts, writtenHttpParts } from "./PolicyReach.ts"

type Issues = Array<Schema.FilterIssue>

/** What stands twice in a list, told at its second place. */
export const noneTwice =
  <A>(show: (one: A) => string, why: string) =>
  (list: ReadonlyArray<A>): Issues => {
    const shown = list.map(show)
    return shown.flatMap((text, index) =>
      shown.indexOf(text) === index
        ? []
        : [{ path: [index], message: `${text} stands twice; ${why}` }]
    )
  }

/** One entry per service: several instances are `addresses` of one. */
export const uniqueNames = (services: ReadonlyArray<{ readonly name: string }>): Issues => {
  const first = new Map<string, number>()
  const issues: Issues = []
  services.forEach(({ name }, index) => {
    const before = first.get(name)
    if (before === undefined) first.set(name, index)
    else {
      issues.push({
        path: [index, "name"],
        message: `${JSON.stringify(name)} is already services[${before}]; give that one more addresses, or choose another name`
      })
    }
  })
  return issues
}

interface Listening {
  readonly node: { readonly listen: ReadonlyArray<string> }
  readonly admin: { readonly listen: HostPort | { readonly path: string } } | "off"
  readonly outbound: {
    readonly http: { readonly listen: HostPort } | "off"
    readonly listeners: ReadonlyArray<{ readonly listen: AdminAddress }>
  }
  readonly upstreams: ReadonlyArray<{ readonly listen: HostPort }>
  readonly programs: ReadonlyArray<{ readonly listen: AdminAddress }>
  readonly dns?:
    | {
        readonly listen: { readonly listen: HostPort }
        readonly bridge?: { readonly listen: HostPort } | undefined
      }
    | undefined
  readonly services: ReadonlyArray<{
    readonly name: string
    readonly addresses: ReadonlyArray<HostPort>
  }>
}

interface Listener {
  readonly path: ReadonlyArray<string | number>
  readonly address: HostPort
}

const listeners = (config: Listening): ReadonlyArray<Listener> => [
  ...config.node.listen.flatMap((text, index) => {
    const address = parseMultiaddr(text)
    return address === undefined ? [] : [{ path: ["node", "listen", index], address }]
  }),
  ...(config.admin === "off" || "path" in config.admin.listen
    ? []
    : [{ path: ["admin"], address: config.admin.listen }]),
  ...(config.outbound.http === "off"
    ? []
    : [{ path: ["outbound", "http"], address: config.outbound.http.listen }]),
  ...(config.dns === undefined
    ? []
    : [{ path: ["dns", "listen"], address: config.dns.listen.listen }]),
  ...(config.dns?.bridge === undefined
    ? []
    : [{ path: ["dns", "bridge", "listen"], address: config.dns.bridge.listen }]),
  ...config.outbound.listeners.flatMap(({ listen }, index) =>
    "path" in listen ? [] : [{ path: ["outbound", "listeners", index, "listen"], address: listen }]
  ),
  ...config.programs.flatMap(({ listen }, index) =>
    "path" in listen ? [] : [{ path: ["programs", index, "listen"], address: listen }]
  ),
  ...config.upstreams.map(({ listen }, index) => ({
    path: ["upstreams", index, "listen"],
    address: listen
  }))
]

/** No port wanted twice, and no service that is one of the node's own listeners. */
export const addressRules = (config: Listening): Issues => {
  const issues: Issues = []
  const open = listeners(config)
  open.forEach((listener, index) => {
    const other = open.slice(0, index).find(({ address }) => collides(address, listener.address))
    if (other === undefined) return
    issues.push({
      path: [...listener.path],
      message: `${formatHostPort(listener.address)} is taken by ${formatPath(other.path)} (${formatHostPort(other.address)}); choose another port`
    })
  })
  const sockets = [
    ...(config.admin === "off" ? [] : [{ path: ["admin"], listen: config.admin.listen }]),
    ...config.outbound.listeners.map(({ listen }, index) => ({
      path: ["outbound", "listeners", index, "listen"],
      listen
    })),
    ...config.programs.map(({ listen }, index) => ({
      path: ["programs", index, "listen"],
      listen
    })),
    ...config.upstreams.flatMap(({ listen }, index) => {
      const path = unixPathOf(listen.host)
      return path === undefined ? [] : [{ path: ["upstreams", index, "listen"], listen: { path } }]
    })
  ].flatMap(({ listen, path }) => ("path" in listen ? [{ path, text: listen.path }] : []))
  sockets.forEach(({ path, text }, index) => {
    const other = sockets.slice(0, index).find((one) => one.text === text)
    if (other === undefined) return
    const taken = formatAdminAddress({ path: text })
    issues.push({
      path,
      message: `${taken} is taken by ${formatPath(other.path)}; choose another path`
    })
  })
  config.services.forEach(({ name, addresses }, index) => {
    for (const address of addresses) {
      const socket = sockets.find(({ text }) => text === unixPathOf(address.host))
      if (socket !== undefined) {
        const message = `${address.host} is this node's own ${formatPath(socket.path)}: calls to ${name} would run in a circle; write the address of the program itself`
        issues.push({ path: ["services", index, "address"], message })
      }
      if (!isLoopback(address.host)) continue
      const own = open.find((listener) => collides(listener.address, address))
      if (own === undefined) continue
      issues.push({
        path: ["services", index, "address"],
        message: `${formatHostPort(address)} is this node's own ${formatPath(own.path)}: calls to ${name} would run in a circle; write the address of the program itself`
      })
    }
  })
  return issues
}

interface Speaking {
  readonly services: ReadonlyArray<{
    readonly name: string
    readonly protocol: string
    /** As it is written. */
    readonly policy?: unknown
    readonly health?: object | undefined
  }>
  readonly upstreams: ReadonlyArray<{ readonly service: string; readonly protocol: string }>
  readonly policies: Readonly<Record<string, Policy>>
}

/** What this host offers as TCP is a tunnel to everybody. */
export const protocolRules = ({ services, upstreams, policies }: Speaking): Issues => {
  const tcp = new Map(
    services.flatMap(({ name, protocol }, index) =>
      protocol === "tcp" ? [[name, `${name}, which is tcp (services[${index}].protocol)`]] : []
    )
  )
  const issues: Issues = []
  upstreams.forEach(({ service, protocol }, index) => {
    const what = tcp.get(service)
    if (what === undefined || protocol === "tcp" || protocol === "auto") return
    const message = `${protocol} cannot reach ${what}: every call would be refused; write tcp`
    issues.push({ path: ["upstreams", index, "protocol"], message })
  })
  const refuse = (at: ProblemPath, what: string, parts: ReadonlyArray<HttpPart>): void => {
    for (const { mend, path } of parts) {
      const message = `holds for HTTP only, not for ${what}; ${mend}`
      issues.push({ path: [...at, ...path], message })
    }
  }
  services.forEach(({ health, name, protocol }, index) => {
    if (protocol !== "http" || health === undefined || !("grpc" in health)) return
    const message = `cannot be asked of ${name}, which speaks HTTP/1.1 (services[${index}].protocol); write protocol: grpc or http2 if it does, or health: { http: {} }`
    issues.push({ path: ["services", index, "health", "grpc"], message })
  })
  services.forEach(({ name, policy }, index) => {
    const what = tcp.get(name)
    if (what === undefined || policy === undefined) return
    refuse(["services", index, "policy"], what, writtenHttpParts(policy))
  })
  for (const [service, policy] of Object.entries(policies)) {
    const what = tcp.get(service)
    if (what !== undefined) refuse(["policies", service], what, httpParts(policy))
  }
  return issues
}
