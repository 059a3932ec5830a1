/**
 * How this host's programs come to ask the node for names: a piece of config for whatever resolves
 * names here. Pure: what is there is passed in, and what is to be done comes out.
 */
import { basename } from "node:path"
import type { HostPort } from "../config/HostPort.ts"
import { type ConfigFiles, managerRunsDnsmasq, managerWrites } from "./NetworkManagerConfig.ts"

/** What resolves names on a host, as far as it can be told what to ask a node. */
export type ResolverKind =
  | "systemd-resolved"
  | "networkmanager"
  | "dnsmasq"
  | "macos"
  | "resolv.conf"

export interface ResolverFacts extends ConfigFiles {
  readonly platform: NodeJS.Platform
  /** Whether there is a file or directory of that path. */
  readonly exists: (path: string) => boolean
}

export interface Names {
  readonly server: HostPort
  readonly suffix: string
  /** The node asks others for names that are not the mesh's. */
  readonly forwards: boolean
}

export interface ResolverPlan {
  readonly kind: ResolverKind
  /** The file that is written… */
  readonly path: string
  /** …and what stands in it then; undefined: it is taken away. */
  readonly text: string | undefined
  /** Has what it read read again. */
  readonly reload: ReadonlyArray<string> | undefined
}

const mark = "# Written by `skein dns install`; `skein dns remove` takes it away."
const end = "# End of what `skein dns install` wrote."

const resolvConf = "/etc/resolv.conf"

/** The first of these that is there. `undefined`: nothing that could be told. */
export const resolverKind = (facts: ResolverFacts): ResolverKind | undefined => {
  const { exists, platform } = facts
  if (platform === "darwin") return "macos"
  if (platform !== "linux") return undefined
  const ofManager = managerRunsDnsmasq(facts)
  // Both may run; then programs ask whichever they are led to.
  if (exists("/run/systemd/resolve/resolv.conf") && !(ofManager && managerIsAsked(facts))) {
    return "systemd-resolved"
  }
  if (ofManager) return "networkmanager"
  if (exists("/etc/dnsmasq.d")) return "dnsmasq"
  return exists(resolvConf) ? "resolv.conf" : undefined
}

/** Programs ask whom NetworkManager has them ask, and not systemd-resolved past that (nss-resolve). */
const managerIsAsked = (facts: ResolverFacts): boolean =>
  managerWrites(facts, facts.read(resolvConf) ?? "") &&
  !/^\s*hosts:.*\bresolve\b/m.test(facts.read("/etc/nsswitch.conf") ?? "")

/** A service's config: its file, and the pieces in directories beside it. */
const configOf = (
  { list, read }: ConfigFiles,
  files: ReadonlyArray<string>,
  directories: ReadonlyArray<string>
): ReadonlyArray<{ readonly path: string; readonly text: string }> => {
  const pieces = directories.flatMap((directory) =>
    list(directory)
      .filter((name) => name.endsWith(".conf"))
      .map((name) => `${directory}/${name}`)
  )
  return [...files, ...pieces].flatMap((path) => {
    const text = read(path)
    return text === undefined ? [] : [{ path, text }]
  })
}

const resolvedDropIns = ["/etc", "/run", "/usr/lib"].map((at) => `${at}/systemd/resolved.conf.d`)

/** Where systemd-networkd, and systemd-resolved itself, keep what each interface was given. */
const interfaces = ["/run/systemd/netif/links", "/run/systemd/resolve/netif"]

/**
 * systemd-resolved asks the servers of one scope in turn and any of them for anything, domains or not. So the
 * node may share the global one with nobody, and is asked for all names where no interface has servers of its own.
 * Why that cannot be, or the lines that make it so.
 */
const resolvedScope = (
  facts: ResolverFacts,
  names: Names,
  path: string
): string | Array<string> => {
  const { list, read } = facts
  const { forwards, suffix } = names
  const others = configOf(facts, ["/etc/systemd/resolved.conf"], resolvedDropIns).filter(
    (one) => one.path !== path && /^\s*DNS\s*=\s*\S/m.test(one.text)
  )
  // Read by their names, whatever their directories: what comes after ours cannot be taken back by it.
  const later = others.find(
    (one) => one.path.includes(".d/") && basename(one.path) > basename(path)
  )
  const [other] = later === undefined ? others : [later]
  if (other !== undefined && (later !== undefined || !forwards)) {
    return `${other.path} names servers for all names (DNS=), which systemd-resolved would ask for *.${suffix} as well, and the node for all else: give them to the network's interface instead${later === undefined ? ", or write dns.forward in the node's config, restart it, and try again" : ""}`
  }
  if (other !== undefined) return ["DNS="]
  const ofInterface = interfaces.some((directory) =>
    list(directory).some((name) => /^(DNS|SERVERS)=\S/m.test(read(`${directory}/${name}`) ?? ""))
  )
  if (ofInterface || forwards) return []
  return `no interface of this host has name servers of its own, so systemd-resolved would ask the node for all names: write dns.forward in the node's config, restart it, and try again`
}

const fileName = (suffix: string): string => `skein-${suffix}.conf`

const pathOf = (kind: ResolverKind, suffix: string): string => {
  switch (kind) {
    case "systemd-resolved":
      return `/etc/systemd/resolved.conf.d/${fileName(suffix)}`
    case "networkmanager":
      return `/etc/NetworkManager/dnsmasq.d/${fileName(suffix)}`
    case "dnsmasq":
      return `/etc/dnsmasq.d/${fileName(suffix)}`
    case "macos":
      return `/etc/resolver/${suffix}`
    case "resolv.conf":
      return resolvConf
  }
}

const reloads: Record<ResolverKind, ReadonlyArray<string> | undefined> = {
  "systemd-resolved": ["systemctl", "restart", "systemd-resolved"],
  // It starts its dnsmasq again, which reads its config at its start alone.
  networkmanager: ["nmcli", "general", "reload", "dns-full"],
  dnsmasq: ["systemctl", "restart", "dnsmasq"],
  macos: undefined,
  "resolv.conf": undefined
}

const lines = (...all: ReadonlyArray<string>): string => all.map((line) => `${line}\n`).join("")

/** Without what an install put there. */
const without = (text: string): string => {
  const from = text.indexOf(mark)
  const to = text.indexOf(end)
  return from === -1 || to < from ? text : text.slice(0, from) + text.slice(to + end.length + 1)
}

/** `first`: lines that go before the node's server. */
const textOf = (
  kind: ResolverKind,
  names: Names,
  before: string,
  first: ReadonlyArray<string>
): string => {
  const { server, suffix } = names
  const { host, port } = server
  switch (kind) {
    case "systemd-resolved": {
      const address = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`
      return lines(mark, "[Resolve]", ...first, `DNS=${address}`, `Domains=~${suffix}`)
    }
    case "networkmanager":
    case "dnsmasq":
      // Its guard against rebinding refuses answers of loopback, which all of ours are.
      return lines(mark, `server=/${suffix}/${host}#${port}`, `rebind-domain-ok=/${suffix}/`)
    case "macos":
      return lines(mark, `nameserver ${host}`, `port ${port}`)
    case "resolv.conf":
      return lines(mark, `nameserver ${host}`, end) + without(before)
  }
}

/** Why that cannot be done, or the plan. */
export const planInstall = (facts: ResolverFacts, names: Names): ResolverPlan | string => {
  const kind = resolverKind(facts)
  const { server, suffix } = names
  if (kind === undefined) {
    return `it is not known how ${facts.platform} resolves names: have it ask ${server.host}, port ${server.port}, for *.${suffix}`
  }
  const path = pathOf(kind, suffix)
  const before = facts.read(path) ?? ""
  if (kind === "resolv.conf") {
    if (managerWrites(facts, before)) {
      return `${resolvConf} is NetworkManager's, which would take the node's line away at the next change of the network: have it run a dnsmasq of its own (dns=dnsmasq under [main] in a file of /etc/NetworkManager/conf.d, then nmcli general reload; the package dnsmasq-base has to be there), or run systemd-resolved, and try again`
    }
    // It has no ports and no domains of their own: the node would be asked for everything.
    if (server.port !== 53) {
      return `${resolvConf} knows no ports: write dns: { listen: "127.0.0.1:53", forward: […] } in the node's config, restart it, and try again; or run systemd-resolved or dnsmasq`
    }
    if (!names.forwards) {
      return `${resolvConf} knows one server for all names: write dns.forward in the node's config (${nameservers(before)}), restart it, and try again`
    }
  } else if (before !== "" && !before.startsWith(mark)) {
    return `${path} is there already and is not of skein; look at it, and take it away or write it yourself`
  }
  const first = kind === "systemd-resolved" ? resolvedScope(facts, names, path) : []
  if (typeof first === "string") return first
  return { kind, path, text: textOf(kind, names, before, first), reload: reloads[kind] }
}

const nameservers = (text: string): string => {
  const found = Array.from(without(text).matchAll(/^nameserver\s+(\S+)/gm), ([, host = ""]) => host)
  return found.length === 0
    ? "the servers that are asked today"
    : `forward: [${found.map((host) => `"${host.includes(":") ? `[${host}]` : host}:53"`).join(", ")}]`
}

/** What an install left, wherever it was; its own pieces and nothing else. */
export const planRemove = (
  { exists, read }: Pick<ResolverFacts, "exists" | "read">,
  suffix: string
): ReadonlyArray<ResolverPlan> =>
  kinds.flatMap((kind) => {
    const path = pathOf(kind, suffix)
    const text = exists(path) ? read(path) : undefined
    if (text === undefined || !text.includes(mark)) return []
    const rest = kind === "resolv.conf" ? without(text) : undefined
    return [{ kind, path, text: rest, reload: reloads[kind] }]
  })

/** What an install left, in words, with why it does not count as it is, if that can be seen. */
export const installed = (facts: ResolverFacts, names: Names): string | undefined => {
  const pieces = planRemove(facts, names.suffix)
  if (pieces.length === 0) return undefined
  const plan = planInstall(facts, names)
  return pieces
    .map(({ kind, path }) => {
      const said = `${kind} (${path})`
      if (typeof plan === "string") return `${said}, which would not be installed now: ${plan}`
      if (plan.path !== path) {
        return `${said}, but names are resolved by ${plan.kind} here: skein dns install`
      }
      return plan.text === facts.read(path)
        ? said
        : `${said}, which says something else than it would now: skein dns install`
    })
    .join("; ")
}

const kinds: ReadonlyArray<ResolverKind> = [
  "systemd-resolved",
  "networkmanager",
  "dnsmasq",
  "macos",
  "resolv.conf"
]
