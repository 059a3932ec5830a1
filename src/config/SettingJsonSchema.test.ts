import { readFileSync } from "node:fs"
import { join } from "node:path"
import { Schema } from "effect"
import { describe, expect, it } from "vitest"
import { parse } from "yaml"
import { bodyProblems, kindOf } from "../schema/SettingKinds.ts"
import { settingJsonSchema } from "./SettingJsonSchema.ts"

/** As much of JSON Schema as is used in it; a word that is not here fails the test. */
const Words = Schema.Struct({
  $ref: Schema.optional(Schema.String),
  anyOf: Schema.optional(Schema.Array(Schema.Unknown)),
  allOf: Schema.optional(Schema.Array(Schema.Unknown)),
  type: Schema.optional(Schema.String),
  enum: Schema.optional(Schema.Array(Schema.Unknown)),
  pattern: Schema.optional(Schema.String),
  format: Schema.optional(Schema.String),
  minLength: Schema.optional(Schema.Number),
  maxLength: Schema.optional(Schema.Number),
  minimum: Schema.optional(Schema.Number),
  maximum: Schema.optional(Schema.Number),
  exclusiveMinimum: Schema.optional(Schema.Number),
  minItems: Schema.optional(Schema.Number),
  maxItems: Schema.optional(Schema.Number),
  uniqueItems: Schema.optional(Schema.Boolean),
  items: Schema.optional(Schema.Unknown),
  required: Schema.optional(Schema.Array(Schema.String)),
  properties: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.Unknown })),
  patternProperties: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.Unknown })),
  propertyNames: Schema.optional(Schema.Unknown),
  additionalProperties: Schema.optional(Schema.Unknown),
  title: Schema.optional(Schema.String),
  description: Schema.optional(Schema.String),
  examples: Schema.optional(Schema.Array(Schema.Unknown)),
  $schema: Schema.optional(Schema.String),
  $defs: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.Unknown }))
})
const read = Schema.decodeUnknownSync(Words, { onExcessProperty: "error" })
const root = read(JSON.parse(settingJsonSchema()))

const isMapping = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const types: Readonly<Record<string, (value: unknown) => boolean>> = {
  object: isMapping,
  array: Array.isArray,
  string: (value) => typeof value === "string",
  number: (value) => typeof value === "number",
  integer: Number.isInteger,
  boolean: (value) => typeof value === "boolean"
}

const accepts = (schema: unknown, value: unknown): boolean => {
  const words = read(schema)
  if (words.$ref !== undefined) {
    if (!accepts(root.$defs?.[words.$ref.replace("#/$defs/", "")], value)) return false
  }
  if (words.anyOf?.some((one) => accepts(one, value)) === false) return false
  if (words.allOf?.every((one) => accepts(one, value)) === false) return false
  if (words.type !== undefined && types[words.type]?.(value) !== true) return false
  if (words.enum?.includes(value) === false) return false
  if (typeof value === "string") {
    if (words.pattern !== undefined && !new RegExp(words.pattern).test(value)) return false
    if (value.length > (words.maxLength ?? value.length)) return false
  }
  if (typeof value === "number") {
    if (value < (words.minimum ?? value) || value > (words.maximum ?? value)) return false
  }
  if (Array.isArray(value)) {
    const { items } = words
    if (value.length < (words.minItems ?? 0)) return false
    if (items !== undefined && !value.every((one) => accepts(items, one))) return false
  }
  if (!isMapping(value)) return true
  const { properties = {}, required = [] } = words
  if (required.some((key) => !Object.hasOwn(value, key))) return false
  return Object.entries(value).every(([key, inner]) =>
    Object.hasOwn(properties, key)
      ? accepts(properties[key], inner)
      : words.additionalProperties !== false
  )
}

const acceptsFile = (text: string): boolean => accepts(root, parse(text))

describe("the JSON Schema of settings", () => {
  it.each([
    "kind: access\nname: a\nservice: payments\nallow:\n  - { from: orders, methods: [POST], path: /charge }\n  - { from: host/ops-*, methods: GET }",
    "kind: access\nname: default\nwhy: closed by default\ndefault: deny",
    "kind: access\nname: a\nservice: [a, shop-*]\nmode: audit\nallow: []\ndeny: [{ from: '*', port: 81, grpc: a.B/C, headers: { x-a: b* } }]",
    "kind: policy\nname: payments\ntimeout: { request: 2s }\nretry: off",
    "- { kind: policy, name: a }\n- { kind: access, name: b, service: c, allow: [] }",
    `kind: trust\nname: invite.${"0a".repeat(16)}\nrevoke: invite\ninvite: ${"0a".repeat(16)}`
  ])("takes what can be applied: %j", (text) => {
    expect(acceptsFile(text)).toBe(true)
    for (const one of [parse(text)].flat()) {
      const { kind, name: _, why: __, ...body } = one
      expect(bodyProblems(kindOf(kind)!, body)).toEqual([])
    }
  })

  it.each([
    "kind: acess\nname: a\nservice: b\nallow: []",
    "kind: access\nservice: b\nallow: []",
    "kind: access\nname: A b\nservice: b\nallow: []",
    "kind: access\nname: a\nservice: b\nallows: []",
    "kind: access\nname: a\nservice: B\nallow: []",
    "kind: access\nname: a\nservice: b\nallow: [{ from: orders, method: POST }]",
    "kind: access\nname: a\nservice: b\nallow: [{ from: orders, methods: post }]",
    "kind: access\nname: a\nservice: b\nallow: [{ methods: POST }]",
    "kind: policy\nname: a\ntimeout: { request: soon }",
    "kind: policy\nname: a\nservice: b\nallow: []",
    "kind: uses\nname: a\nuses: []"
  ])("finds what cannot: %j", (text) => {
    expect(acceptsFile(text)).toBe(false)
  })

  it("published is the Schemas' own (mend: skein config schema settings > src/config/skein-settings.schema.json)", () => {
    const path = join(import.meta.dirname, "skein-settings.schema.json")
    expect(JSON.parse(readFileSync(path, "utf8"))).toEqual(JSON.parse(settingJsonSchema()))
  })
})
