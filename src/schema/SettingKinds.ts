/**
 * The kinds of mesh-wide settings that this version knows. A kind is a file with the Schema of its body, and
 * a line here. Kinds that are not here come from newer nodes: they are kept and passed on, and not set from
 * here.
 */
import { Either, Schema } from "effect"
import { isJson } from "../model/Json.ts"
import { isServiceName, ServiceName } from "../model/Names.ts"
import type { Problem } from "../model/Problem.ts"
import { isSettingName, type SettingBody, settingRules } from "../model/Setting.ts"
import { AccessBody } from "./AccessSchema.ts"
import { explain } from "./ExplainIssue.ts"
import { ForgottenBody } from "./ForgottenSchema.ts"
import { Policy } from "./PolicySchema.ts"
import { isTrustName, TrustSetting, trustNameRule } from "./TrustSchema.ts"
import { UsesBody } from "./UsesSchema.ts"

export interface SettingKind {
  /** Of what stands beside `kind`, `name` and `why`. What is stored is its encoded side, as written. */
  readonly body: Schema.Schema.AnyNoContext
  /** What the certificate of its signer must grant. */
  readonly capability: "admit" | "policy" | "revoke"
  /** Whom one of this name and body concerns, in words; what is not written is not there. */
  readonly concerns: (name: string, body: SettingBody) => string
  /** A name that cannot be this kind's: why; default: every name can. */
  readonly nameProblem?: (name: string) => string | undefined
}

export const settingKinds = {
  access: {
    body: AccessBody,
    capability: "policy",
    concerns: (_, { service }) =>
      service === undefined
        ? "calls to all services that no rules name"
        : `calls to ${[service].flat().join(", ")}`
  },
  policy: {
    body: Policy,
    capability: "policy",
    concerns: (name) => `calls to ${name} from every node`,
    nameProblem: (name) => (isServiceName(name) ? undefined : ServiceName.rule)
  },
  trust: {
    body: TrustSetting,
    capability: "revoke",
    concerns: (_, { called, peer, revoke, root, service }) =>
      root !== undefined
        ? "every node, which stands under a root of the mesh"
        : revoke === "invite"
          ? "whoever comes with that invite"
          : `${called ?? peer}${service === undefined ? "" : ` and its ${service}`}, on every node`,
    nameProblem: (name) => (isTrustName(name) ? undefined : trustNameRule)
  }
} as const satisfies Readonly<Record<string, SettingKind>>

/** Written by nodes themselves, and by nobody else. */
const nodeKinds: Readonly<Record<string, SettingKind>> = {
  forgotten: {
    body: ForgottenBody,
    capability: "admit",
    concerns: () => "hosts that are gone for good"
  },
  uses: {
    body: UsesBody,
    capability: "admit",
    concerns: () => "tokens that only so many hosts may join with"
  }
}

/** A setting as a program writes it, in `export default defineSetting({ … })`. */
export type SettingInput = {
  readonly [Kind in keyof typeof settingKinds]: {
    readonly kind: Kind
    readonly name: string
    /** Why it is set, for who reads its history. */
    readonly why?: string
  } & Schema.Schema.Encoded<(typeof settingKinds)[Kind]["body"]>
}[keyof typeof settingKinds]

/** For files that are applied: gives the literal its type, so the compiler checks it. */
export const defineSetting = <const Input extends SettingInput | ReadonlyArray<SettingInput>>(
  input: Input
): Input => input

const table: Readonly<Record<string, SettingKind>> = { ...settingKinds, ...nodeKinds }

/** Of those that people set. */
export const kindNames = (): ReadonlyArray<string> => Object.keys(settingKinds)

/** It is kept by nodes for each other, and nobody's to set. */
export const isOfNodes = (kind: string): boolean => Object.hasOwn(nodeKinds, kind)

export const kindOf = (kind: string): SettingKind | undefined =>
  Object.hasOwn(table, kind) ? table[kind] : undefined

/** One of these its signer must hold. Those of newer nodes ask for one, too, and here nobody knows which. */
export const capabilitiesFor = (kind: string): ReadonlyArray<SettingKind["capability"]> => {
  const known = kindOf(kind)
  return known === undefined ? ["policy", "revoke"] : [known.capability]
}

/** What is wrong with a name of this kind; undefined: nothing. */
export const nameProblem = (kind: string, name: string): string | undefined =>
  isSettingName(name) ? kindOf(kind)?.nameProblem?.(name) : settingRules.name

/**
 * Every mistake in a body of a known kind: unknown keys are mistakes to whoever writes, though not to who
 * reads what a newer node wrote.
 */
export const bodyProblems = (kind: SettingKind, body: unknown): ReadonlyArray<Problem> => {
  const decoded = Schema.decodeUnknownEither(kind.body)(body, {
    errors: "all",
    onExcessProperty: "error"
  })
  if (Either.isLeft(decoded)) return explain(decoded.left.issue)
  return isJson(body)
    ? []
    : [{ path: [], about: "value", message: "holds what JSON has no word for, or is too deep" }]
}
