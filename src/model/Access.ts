/**
 * Who may call what, as nodes are told it: decoded and complete. How it is written and every mistake
 * in it are in schema/AccessSchema.ts.
 *
 * **A call is let through when an allow rule meets it and no deny rule does.** A service that no
 * setting names follows the mesh's default.
 *
 * An allow rule is narrow and a deny rule is wide: where a program could take a call for another one,
 * an allow rule does not meet it, and a deny rule does.
 */
import type { CallerPattern } from "./CallerPattern.ts"
import type { PathPattern } from "./PathPattern.ts"

/** `audit`: what the rules say is counted and logged, and holds for nobody. */
export type AccessMode = "enforce" | "audit"

export type AccessDefault = "allow" | "deny"

/** `payments` (that one), `shop-*` (every name that starts so) or `*` (all). */
export type ServicePattern = string

export interface HeaderPattern {
  /** In small letters. */
  readonly name: string
  /** The value, or what it starts with. */
  readonly value: string
  /** More may follow: of the empty value, the header has only to be there. */
  readonly open: boolean
}

export interface GrpcPattern {
  /** With its package: `payments.v1.Payments`. */
  readonly service: string
  /** Absent: all of them. */
  readonly method?: string | undefined
}

/** Everything that is there has to be met; of a list, one entry. */
export interface AccessRule {
  readonly from: ReadonlyArray<CallerPattern>
  readonly methods?: ReadonlyArray<string> | undefined
  readonly path?: ReadonlyArray<PathPattern> | undefined
  readonly headers?: ReadonlyArray<HeaderPattern> | undefined
  readonly grpc?: ReadonlyArray<GrpcPattern> | undefined
  /** Where the service's program listens. */
  readonly port?: ReadonlyArray<number> | undefined
}

/** One setting of kind `access`. */
export interface AccessSetting {
  readonly name: string
  readonly mode: AccessMode
  /** Whom the rules are about; empty for one that says the default. */
  readonly services: ReadonlyArray<ServicePattern>
  readonly allow: ReadonlyArray<AccessRule>
  readonly deny: ReadonlyArray<AccessRule>
  /** What holds for services that no setting names. Of several, `deny` holds. */
  readonly default?: AccessDefault | undefined
}

/** What holds until somebody says otherwise. */
export const builtInDefault: AccessDefault = "allow"

/** It says something about HTTP requests, so it cannot be met by what hides them. */
export const isAboutHttp = ({ grpc, headers, methods, path }: AccessRule): boolean =>
  grpc !== undefined || headers !== undefined || methods !== undefined || path !== undefined

export const namesService = (pattern: ServicePattern, service: string): boolean =>
  pattern.endsWith("*") ? service.startsWith(pattern.slice(0, -1)) : pattern === service

/** `payments-charge.allow[0]`: how people, metrics and logs are told of a rule. */
export const ruleName = (setting: string, list: "allow" | "deny", index: number): string =>
  `${setting}.${list}[${index}]`
