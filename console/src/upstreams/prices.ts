import type { Numbers } from "../i18n/numbers";
import type { useText } from "./texts";

type Text = ReturnType<typeof useText>;
type Row = { usd: number; size: string | null; quality: string | null; step: string | null };

/** A price of the catalogue in words. Its kinds: gateway/domain/catalog.py. */
export function priceInWords(price: Record<string, unknown>, text: Text, numbers: Numbers): string[] {
  const usd = (value: unknown) => numbers.usd(Number(value));
  const reference =
    Number(price.per_reference_usd ?? 0) > 0 ? [`+ ${usd(price.per_reference_usd)} ${text.perReference}`] : [];
  if ("per_image_usd" in price) return [`${usd(price.per_image_usd)} ${text.perImage}`, ...reference];
  if ("per_megapixel_usd" in price) return [`${usd(price.per_megapixel_usd)} ${text.perMegapixel}`, ...reference];
  if ("formula" in price) return [`${text.formula} ${String(price.formula)}`];
  if ("table" in price) {
    return [
      ...(price.table as Row[]).map((row) =>
        `${usd(row.usd)} ${text.perImage} ${[row.size, row.quality, row.step].filter((part) => part !== null).join(", ")}`.trim(),
      ),
      ...reference,
    ];
  }
  if ("image_out" in price) {
    return [
      `${usd(price.image_out)} ${text.imagesOut}`,
      `${usd(price.text_in)} ${text.tokensIn}`,
      `${usd(price.image_in)} ${text.imagesIn} (${text.perMillion})`,
    ];
  }
  return [JSON.stringify(price)];
}
