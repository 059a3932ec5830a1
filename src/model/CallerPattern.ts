/**
 * Callers as rules name them: one (`orders`, `host/db-1`), all whose name starts so (`shop-*`,
 * `host/ops-*`), all services or hosts (`service/*`, `host/*`), everybody (`*`). Of another mesh the
 * same with its id before it: `MESH//service/orders`, `MESH//*`. SPIFFE IDs are read too.
 */
import type { Caller } from "./Caller.ts"
import { isMeshId, isNodeName, isServiceName, type MeshId } from "./Names.ts"

export interface CallerPattern {
  /** Whose callers. Absent: our own mesh's. */
  readonly mesh?: MeshId | undefined
  readonly kind: Caller["kind"] | "any"
  /** The name, or what names start with. Empty for `any`. */
  readonly name: string
  /** More may follow the name. */
  readonly open: boolean
}

/** Undefined: it names nobody. */
export const parseCallerPattern = (text: string): CallerPattern | undefined => {
  if (text.startsWith(spiffe)) {
    const border = text.indexOf("/", spiffe.length)
    return border === -1
      ? undefined
      : ofMesh(text.slice(spiffe.length, border), text.slice(border + 1))
  }
  const border = text.indexOf("//")
  if (border !== -1) return ofMesh(text.slice(0, border), text.slice(border + 2))
  return ofPath(text) ?? named("service", text)
}

/** `orders`, `host/ops-*`, `*`, `MESH//service/orders`. What was read is written so again. */
export const formatCallerPattern = ({ kind, mesh, name, open }: CallerPattern): string => {
  const names = `${name}${open ? "*" : ""}`
  if (mesh !== undefined) return kind === "any" ? `${mesh}//*` : `${mesh}//${kind}/${names}`
  if (kind === "any") return "*"
  return kind === "service" && name !== "" ? names : `${kind}/${names}`
}

/** Callers of our own mesh name none; a rule may, to be the same in both. */
export const atHome = (pattern: CallerPattern, own: MeshId): CallerPattern => {
  if (pattern.mesh !== own) return pattern
  const { mesh: _, ...rest } = pattern
  return rest
}

export const meetsCaller = (
  { kind, mesh, name, open }: CallerPattern,
  { kind: callerKind, mesh: callerMesh, name: callerName }: Caller
): boolean => {
  if (mesh !== callerMesh) return false
  if (kind === "any") return true
  if (kind !== callerKind) return false
  return open ? callerName.startsWith(name) : callerName === name
}

/** Whoever `inner` meets, `outer` meets too. */
export const coversCallers = (outer: CallerPattern, inner: CallerPattern): boolean => {
  if (outer.mesh !== inner.mesh) return false
  if (outer.kind === "any") return true
  if (outer.kind !== inner.kind) return false
  return outer.open ? inner.name.startsWith(outer.name) : !inner.open && inner.name === outer.name
}

const spiffe = "spiffe://"
/** What names of each kind may start with. */
const beginnings = { service: /^[a-z0-9][a-z0-9-]{0,61}$/, host: /^[A-Za-z0-9][A-Za-z0-9._-]*$/ }

const ofMesh = (mesh: string, path: string): CallerPattern | undefined => {
  if (!isMeshId(mesh)) return undefined
  const found = ofPath(path)
  return found === undefined ? undefined : { mesh, ...found }
}

/** `service/orders`, `host/*`, `*`. */
const ofPath = (text: string): CallerPattern | undefined => {
  if (text === "*") return { kind: "any", name: "", open: true }
  const border = text.indexOf("/")
  const kind = text.slice(0, border)
  return kind === "service" || kind === "host" ? named(kind, text.slice(border + 1)) : undefined
}

const named = (kind: Caller["kind"], text: string): CallerPattern | undefined => {
  if (text.endsWith("*")) {
    const name = text.slice(0, -1)
    return name === "" || beginnings[kind].test(name) ? { kind, name, open: true } : undefined
  }
  const fits = kind === "service" ? isServiceName(text) : isNodeName(text)
  return fits ? { kind, name: text, open: false } : undefined
}
