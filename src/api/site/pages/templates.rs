//! The templates and the stylesheet, from the files in this directory.

/// Pages, then their parts.
pub(crate) const TEMPLATES: [(&str, &str); 17] = [
    ("register", include_str!("templates/register.html")),
    ("registered", include_str!("templates/registered.html")),
    ("token", include_str!("templates/token.html")),
    ("token_created", include_str!("templates/token_created.html")),
    ("login", include_str!("templates/login.html")),
    ("dashboard", include_str!("templates/dashboard.html")),
    ("store", include_str!("templates/store.html")),
    ("retrieve", include_str!("templates/retrieve.html")),
    ("update", include_str!("templates/update.html")),
    ("delete", include_str!("templates/delete.html")),
    ("problem", include_str!("templates/problem.html")),
    ("head", include_str!("templates/head.html")),
    ("foot", include_str!("templates/foot.html")),
    ("summary", include_str!("templates/summary.html")),
    ("form", include_str!("templates/form.html")),
    ("field", include_str!("templates/field.html")),
    ("attributes", include_str!("templates/attributes.html")),
];

pub(crate) const STYLE: &str = include_str!("style.css");
