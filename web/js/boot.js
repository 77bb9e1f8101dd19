// Before the first paint: the chosen theme and language. A classic script, because modules wait for the whole page.
{
  const root = document.documentElement;
  const kept = (name) => { try { return localStorage.getItem(name); } catch { return null; } };
  const theme = kept("theme");
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  root.lang = kept("language") ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh-CN" : "en");
}
