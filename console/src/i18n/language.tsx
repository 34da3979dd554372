// English and Chinese. Each page keeps its words beside it: `const useText = words({ en: {...}, zh: {...} })`; a missing word is a type error.
import { createContext, type ReactNode, useContext, useEffect, useMemo, useState } from "react";

export type Language = "en" | "zh";

export const LANGUAGES: readonly { value: Language; label: string }[] = [
  { value: "en", label: "English" },
  { value: "zh", label: "中文" },
];

const KEPT = "igw-language";
const LanguageContext = createContext<{ language: Language; choose: (language: Language) => void } | null>(null);

function preferred(): Language {
  const kept = localStorage.getItem(KEPT);
  if (kept === "en" || kept === "zh") return kept;
  return navigator.languages.some((name) => name.toLowerCase().startsWith("zh")) &&
    !navigator.languages[0]?.toLowerCase().startsWith("en")
    ? "zh"
    : "en";
}

export function LanguageProvider({ children }: { children: ReactNode }) {
  const [language, setLanguage] = useState(preferred);
  useEffect(() => {
    document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  }, [language]);
  const value = useMemo(
    () => ({
      language,
      choose: (chosen: Language) => {
        localStorage.setItem(KEPT, chosen);
        setLanguage(chosen);
      },
    }),
    [language],
  );
  return <LanguageContext value={value}>{children}</LanguageContext>;
}

export function useLanguage() {
  const value = useContext(LanguageContext);
  if (value === null) throw new Error("there is no LanguageProvider above");
  return value;
}

type Word = string | ((...values: never[]) => string);
type Words = { readonly [name: string]: Word | Words };
/** The same names with words of the same kind. */
type Same<W extends Words> = {
  readonly [K in keyof W]: W[K] extends string ? string : W[K] extends Words ? Same<W[K]> : W[K];
};

/** The hook that gives a page its words in the present language. */
export function words<const W extends Words>(texts: { en: W; zh: Same<W> }): () => Same<W> {
  return () => {
    const { language } = useLanguage();
    return language === "zh" ? texts.zh : (texts.en as Same<W>);
  };
}
