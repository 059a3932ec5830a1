/**
 * One rule, ready to be asked. An allow rule is narrow and a deny rule wide: a program may take small
 * letters of a method for capitals, answer HEAD by what it has for GET, and read of two headers of one
 * name the one or the other.
 */
import type { AccessRule, HeaderPattern } from "../../model/Access.ts"
import type { RequestHead } from "../../model/Exchange.ts"
import { sameFolded, sameName, startsFolded } from "../../model/FoldedText.ts"
import type { PathPattern } from "../../model/PathPattern.ts"
import type { AccessVerdict } from "./AccessVerdict.ts"

export class CompiledRule {
  /** Of several that meet a call, the first is named. */
  readonly order: number
  readonly wide: boolean
  readonly verdict: AccessVerdict
  /** Undefined: of any path, or none. */
  readonly paths: ReadonlyArray<PathPattern> | undefined
  /** It asks for a method. */
  readonly isAboutMethods: boolean
  /** An allow rule that lets tunnels through: it says nothing of what nobody sees in them. */
  readonly opensTunnels: boolean
  readonly #methods: ReadonlyArray<string> | undefined
  readonly #headers: ReadonlyArray<HeaderPattern>
  readonly #ports: ReadonlyArray<number> | undefined
  readonly #grpcOnly: boolean

  constructor(rule: AccessRule, wide: boolean, order: number, verdict: AccessVerdict) {
    const { grpc, headers, methods, path, port } = rule
    this.order = order
    this.wide = wide
    this.verdict = verdict
    this.paths =
      grpc === undefined ? path : grpc.map(({ method, service }) => grpcPath(service, method, wide))
    this.isAboutMethods = (methods ?? grpc) !== undefined
    this.opensTunnels =
      this.paths === undefined &&
      headers === undefined &&
      (methods === undefined || methods.includes("CONNECT"))
    this.#methods = wide && methods?.includes("GET") === true ? [...methods, "HEAD"] : methods
    this.#headers = headers ?? []
    this.#ports = port
    this.#grpcOnly = grpc !== undefined && !wide
  }

  /** `port`: where the program listens; 0: nobody knows. */
  meetsPort(port: number): boolean {
    if (this.#ports === undefined) return true
    return port === 0 ? this.wide : this.#ports.includes(port)
  }

  /** But for caller and path. */
  meets(head: RequestHead, port: number): boolean {
    if (!this.meetsPort(port)) return false
    if (this.#methods !== undefined && !this.#meetsMethod(this.#methods, head.method)) return false
    if (this.#grpcOnly && !isGrpc(head)) return false
    for (const header of this.#headers) if (!meetsHeader(header, head, this.wide)) return false
    return true
  }

  #meetsMethod(methods: ReadonlyArray<string>, method: string): boolean {
    for (const one of methods) {
      if (one === method || (this.wide && sameFolded(one, method))) return true
    }
    return false
  }
}

/** Programs that speak more than gRPC serve a method under its path to whatever asks for it. */
const grpcPath = (service: string, method: string | undefined, wide: boolean): PathPattern => {
  if (method !== undefined) return { segments: [service, method], open: false }
  return wide ? { segments: [service], open: true } : { segments: [service, null], open: false }
}

const grpcType = "application/grpc"

/** A call of gRPC, by its method and its content type. */
export const isGrpc = ({ fields, method }: RequestHead): boolean => {
  if (method !== "POST") return false
  let found = false
  for (let i = 0; i < fields.length; i += 2) {
    if (!sameName("content-type", fields[i]!)) continue
    if (!startsFolded(fields[i + 1]!, grpcType)) return false
    found = true
  }
  return found
}

/**
 * Narrow: it is there, and every one of that name is met. Wide: one of them is, or an entry of its
 * list. A program of CGI's kind takes `x_tenant` for `x-tenant`.
 */
const meetsHeader = (pattern: HeaderPattern, head: RequestHead, wide: boolean): boolean => {
  const { name } = pattern
  if (name === "upgrade")
    return head.upgrade !== undefined && meetsValue(pattern, head.upgrade, wide)
  if (name === "host") return meetsValue(pattern, head.authority, wide)
  const { fields } = head
  let found = false
  for (let i = 0; i < fields.length; i += 2) {
    if (!sameName(name, fields[i]!)) continue
    if (meetsValue(pattern, fields[i + 1]!, wide) === wide) return wide
    found = true
  }
  return found && !wide
}

const meetsValue = ({ open, value }: HeaderPattern, text: string, wide: boolean): boolean => {
  if (!wide) return open ? text.startsWith(value) : text === value
  if (open ? startsFolded(text, value) : sameFolded(value, text)) return true
  if (!text.includes(",")) return false
  return text
    .split(",")
    .some((entry) => (open ? startsFolded(entry.trim(), value) : sameFolded(value, entry.trim())))
}
