/**
 * The Schema of setting files for editors: completion and checks while `payments.access.yaml` is being
 * written. Made of the kinds' own Schemas, so a kind that is added is in it.
 */
import { JSONSchema } from "effect"
import { settingLimits, settingNamePattern } from "../model/Setting.ts"
import { type SettingKind, settingKinds } from "../schema/SettingKinds.ts"

type Json = JSONSchema.JsonSchema7
type Definitions = Readonly<Record<string, Json>>

const isMapping = (schema: object): schema is JSONSchema.JsonSchema7Object =>
  "properties" in schema && "required" in schema

/** The mappings that a body may be. */
const shapesOf = (
  schema: object,
  definitions: Definitions
): ReadonlyArray<JSONSchema.JsonSchema7Object> => {
  if ("$ref" in schema) {
    const named = definitions[String(schema.$ref).replace("#/$defs/", "")]
    return named === undefined ? [] : shapesOf(named, definitions)
  }
  if ("anyOf" in schema && Array.isArray(schema.anyOf)) {
    return schema.anyOf.flatMap((one: object) => shapesOf(one, definitions))
  }
  return isMapping(schema) ? [schema] : []
}

/** A body with what stands beside it in a file. */
const settingOf = (
  kind: string,
  { properties, required, ...rest }: JSONSchema.JsonSchema7Object
): JSONSchema.JsonSchema7Object => ({
  ...rest,
  required: ["kind", "name", ...required],
  properties: {
    kind: { type: "string", enum: [kind] },
    name: {
      ...{ type: "string", description: "What it is called, once in the whole mesh" },
      pattern: settingNamePattern.source
    },
    why: {
      ...{ type: "string", description: "Why, for who reads the history" },
      maxLength: settingLimits.why
    },
    ...properties
  }
})

/** Text of `skein-settings.schema.json`, newline at the end. */
export const settingJsonSchema = (): string => {
  const definitions: Record<string, Json> = {}
  const kinds: Readonly<Record<string, SettingKind>> = settingKinds
  const settings = Object.entries(kinds).flatMap(([kind, { body }]) => {
    const { $defs = {}, ...root } = JSONSchema.make(body)
    Object.assign(definitions, $defs)
    return shapesOf(root, $defs).map((shape) => settingOf(kind, shape))
  })
  const setting = { $ref: "#/$defs/Setting" }
  const schema = {
    title: "Skein settings",
    $schema: "http://json-schema.org/draft-07/schema#",
    $defs: { ...definitions, Setting: { anyOf: settings } },
    anyOf: [setting, { type: "array", items: setting }]
  }
  return `${JSON.stringify(schema, undefined, 2)}\n`
}
