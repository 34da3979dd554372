// Figures in the reader's locale. Money is shown exactly as far as it goes: six decimals at most, no more than needed.
import { useMemo } from "react";

import { type Language, useLanguage } from "./language";

const UNITS: readonly (readonly [Intl.RelativeTimeFormatUnit, number])[] = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
  ["second", 1000],
];

export function numbersOf(language: Language) {
  const locale = language === "zh" ? "zh-CN" : (navigator.languages.find((name) => name.startsWith("en")) ?? "en");
  const usd = new Intl.NumberFormat(locale, {
    style: "currency",
    currency: "USD",
    currencyDisplay: "narrowSymbol",
    minimumFractionDigits: 2,
    maximumFractionDigits: 6,
  });
  const usdRound = new Intl.NumberFormat(locale, {
    style: "currency",
    currency: "USD",
    currencyDisplay: "narrowSymbol",
  });
  const plain = new Intl.NumberFormat(locale, { maximumFractionDigits: 6 });
  const rounded = new Intl.NumberFormat(locale, { maximumFractionDigits: 2 });
  const percent = new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 1 });
  const compact = new Intl.NumberFormat(locale, { notation: "compact", maximumFractionDigits: 1 });
  const moment = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" });
  const clock = new Intl.DateTimeFormat(locale, { timeStyle: "medium" });
  const day = new Intl.DateTimeFormat(locale, { month: "short", day: "numeric", timeZone: "UTC" });
  const relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto", style: "short" });
  return {
    locale,
    usd: (value: number) => usd.format(value),
    /** To the cent, for axes and large sums; smaller amounts are shown whole. */
    usdRound: (value: number) => (value !== 0 && Math.abs(value) < 1 ? usd.format(value) : usdRound.format(value)),
    number: (value: number) => plain.format(value),
    /** To the hundredth. */
    round: (value: number) => rounded.format(value),
    compact: (value: number) => compact.format(value),
    percent: (ratio: number) => percent.format(ratio),
    moment: (ms: number) => moment.format(ms),
    clock: (ms: number) => clock.format(ms),
    /** Of a day such as 2026-11-01. */
    day: (text: string) => day.format(new Date(`${text}T00:00:00Z`)),
    /** How long ago, or until when: `3 min. ago`. */
    ago: (ms: number, nowMs: number) => {
      const passed = ms - nowMs;
      const [unit, size] = UNITS.find(([, size]) => Math.abs(passed) >= size) ?? (["second", 1000] as const);
      return relative.format(Math.round(passed / size), unit);
    },
    /** 0.8 s, 12.4 s, 3 min 5 s, 23 h 5 min. */
    duration: (ms: number) => {
      if (ms < 1000) return `${plain.format(Math.round(ms))} ms`;
      if (ms < 60_000) return `${plain.format(Math.round(ms / 100) / 10)} s`;
      if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min ${Math.floor((ms % 60_000) / 1000)} s`;
      return `${Math.floor(ms / 3_600_000)} h ${Math.floor((ms % 3_600_000) / 60_000)} min`;
    },
    bytes: (value: number) =>
      value < 1024 * 1024
        ? `${plain.format(Math.ceil(value / 1024))} KB`
        : `${plain.format(Math.round((value / 1048576) * 10) / 10)} MB`,
  };
}

export type Numbers = ReturnType<typeof numbersOf>;

export function useNumbers(): Numbers {
  const { language } = useLanguage();
  return useMemo(() => numbersOf(language), [language]);
}
